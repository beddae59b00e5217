"""Refusals say what to do next: what belongs under a key, which header to send, how a collection comes to be."""

from __future__ import annotations

import pytest

FORM_TYPE = "application/x-www-form-urlencoded"
SEARCH = "/api/collections/signs/search"


@pytest.mark.parametrize(
    ("path", "body", "pointer", "fragment"),
    [
        ("/api/embed/pose", {"pose": {"body": [[1, 2, 3]]}}, "/pose", "(pose: a .pose file or a list of them, base64)"),
        ("/api/embed/pose", {"pose": [[1, 2, 3]]}, "/pose/0", "(pose: a .pose file or a list of them, base64)"),
        ("/api/embed/pose", {"pose": []}, "/pose", "(pose: a .pose file"),
        ("/api/embed/text", {}, "/text", "(text: a text or a list of texts)"),
        ("/api/embed/text", {"text": "a", "truncate": "yes"}, "/truncate", "(truncate: true: keep the first"),
        (
            "/api/collections/signs/entries",
            {"entries": [{"pose": 7}]},
            "/entries/0/pose",
            "(pose: a .pose file, base64)",
        ),
    ],
)
def test_what_belongs_under_a_key_is_said(client, path, body, pointer, fragment):
    client.put("/api/collections/signs", json={})
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "input_invalid")
    (problem,) = [problem for problem in answer.json["errors"] if problem["pointer"] == pointer]
    assert fragment in problem["message"]


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/api/embed/text", "application/json"),
        ("/api/embed/pose", "application/json"),
        (SEARCH, "application/json"),
        ("/api/collections/signs/entries", "application/json"),
        ("/api/collections/signs/entries:import", "application/vnd.apache.parquet"),
    ],
)
def test_the_type_that_curl_sends_by_itself_is_answered_with_the_option_that_names_another(client, path, header):
    client.put("/api/collections/signs", json={})
    answer = client.post(path, data=b'{"text": "a"}', content_type=FORM_TYPE)
    assert (answer.status_code, answer.json["code"]) == (415, "media_type_unsupported")
    assert f"With cURL: -H 'Content-Type: {header}'" in answer.json["detail"]
    other = client.post(path, data=b"a", content_type="text/plain")
    assert "cURL" not in other.json["detail"]


def test_a_collection_that_is_not_there_can_be_made_or_looked_up(client):
    answer = client.post(SEARCH, json={"text": "a"})
    assert (answer.status_code, answer.json["code"]) == (404, "collection_unknown")
    assert "there is no collection 'signs'; create it first, or list the collections" in answer.json["detail"]


@pytest.mark.parametrize("stored", ["ase", "asl", "ASL", "American Sign Language"])
@pytest.mark.parametrize("wanted", ["ase", "asl", "american sign language"])
def test_entries_are_found_by_any_name_of_their_sign_language(client, stored, wanted):
    client.put("/api/collections/signs", json={})
    entries = [
        {"id": "own", "vector": [1.0] * 32, "sign_language": stored},
        {"id": "other", "vector": [1.0] * 32, "sign_language": "bfi"},
        {"id": "unknown", "vector": [1.0] * 32, "sign_language": "village sign"},
    ]
    assert client.post("/api/collections/signs/entries", json={"entries": entries}).json["stored"] == 3

    def find(language) -> list[str]:
        body = {"vector": [1.0] * 32, "filter": {"sign_language": language}}
        return [hit["id"] for hit in client.post(SEARCH, json=body).json["hits"]]

    assert find(wanted) == ["own"]
    assert find({"not": wanted}) == ["other", "unknown"]
    assert find(["village sign", wanted]) == ["own", "unknown"]


def test_an_unknown_language_is_answered_with_one_that_is_like_it(client):
    answer = client.post("/api/embed/text", json={"text": "a", "sign_language": "German Sign Langauge"})
    assert "did you mean 'German Sign Language' (gsg). GET /api/languages lists them" in answer.json["detail"]
