"""Searches over HTTP: by pose, video, text and vector, in one collection and in several."""

from __future__ import annotations

import base64
import gzip
import json
import time

import numpy as np
import pytest

from app.intake.body import find_file_kind
from tests.app.routes.test_collection_routes import ENTRIES, WORDS, refused
from tests.poses.make_poses import HOLISTIC, build_pose, write_pose

SEARCH = f"{WORDS}/search"


@pytest.fixture
def words(client, pose_base64):
    """A client of a service with six entries: a pose, and texts in two languages and with two glosses."""
    assert client.put(WORDS, json={}).status_code == 200
    texts = [("t1", "sun", "SUN", "ase"), ("t2", "sun", "SUN", "gsg"), ("t3", "house", "HOUSE", "ase")]
    entries = [
        {"id": entry_id, "text": text, "gloss": gloss, "sign_language": language, "tags": {"n": number}}
        for number, (entry_id, text, gloss, language) in enumerate(texts)
    ]
    entries += [{"id": "p", "pose": pose_base64, "gloss": "A", "sign_language": "ase"}]
    assert client.post(ENTRIES, json={"entries": entries}).json["stored"] == 4
    return client


def find(answer) -> list[str]:
    assert answer.status_code == 200, answer.json
    return [hit["id"] for hit in answer.json["hits"]]


def test_a_clip_finds_itself_first(words, pose_base64, pose_bytes):
    answer = words.post(SEARCH, json={"pose": pose_base64})
    best = answer.json["hits"][0]
    assert best == {
        "id": "p",
        "rank": 1,
        "score": pytest.approx(1.0),
        "gloss": "A",
        "kind": "pose",
        "sign_language": "ase",
        "tags": {},
        "preview": f"{ENTRIES}/p/preview.svg",
        "collection": "words",
    }
    assert answer.json["signature"] == words.get(f"{ENTRIES}/p").json["signature"]
    assert answer.json["space"] == words.get(WORDS).json["space"]
    assert "warnings" not in answer.json
    raw = words.post(f"{SEARCH}?k=1", data=pose_bytes, content_type="application/octet-stream")
    assert raw.json["hits"] == [best]
    packed = words.post(f"{SEARCH}?k=1", data=gzip.compress(pose_bytes), content_type="application/gzip")
    assert packed.json["hits"] == [best]
    text = words.post(SEARCH, data="sun", content_type="text/plain")
    assert (text.status_code, text.json["code"]) == (415, "media_type_unsupported")
    assert "video/* or application/octet-stream" in text.json["detail"]


@pytest.mark.parametrize(
    ("media", "kind"),
    [
        ("application/octet-stream", "pose"),
        ("application/zstd", "pose"),
        ("application/ogg", "video"),
        ("video/webm", "video"),
        ("image/gif", "video"),
        ("image/png", None),
        ("application/json", None),
        ("", None),
    ],
)
def test_a_raw_body_is_known_by_its_type_on_every_route(media, kind):
    assert find_file_kind(media) == kind


def test_scores_are_the_cosines_of_the_vectors(words):
    query = words.post("/api/embed/text", json={"text": "moon", "sign_language": "ase"}).json["embeddings"][0]
    answer = words.post(SEARCH, json={"text": "moon", "sign_language": "ase"}).json
    stored = {hit["id"]: words.get(f"{ENTRIES}/{hit['id']}").json["vector"] for hit in answer["hits"]}
    expected = sorted(((float(np.dot(vector, query)), key) for key, vector in stored.items()), reverse=True)
    assert [hit["id"] for hit in answer["hits"]] == [key for _, key in expected]
    np.testing.assert_allclose([hit["score"] for hit in answer["hits"]], [score for score, _ in expected], atol=1e-6)


def test_filters_groups_and_least_scores(words):
    text = {"text": "sun", "sign_language": "ase"}
    assert find(words.post(SEARCH, json={**text, "filter": {"sign_language": "gsg"}})) == ["t2"]
    assert find(words.post(SEARCH, json={**text, "filter": {"tags.n": [0, 2]}, "k": 1})) == ["t1"]
    assert find(words.post(SEARCH, json={**text, "min_score": 0.999})) == ["t1"]
    grouped = words.post(SEARCH, json={**text, "group_by": "gloss"}).json["hits"]
    assert sorted(hit["gloss"] for hit in grouped) == ["A", "HOUSE", "SUN"]
    for mode in ("exact", "approximate"):
        assert find(words.post(SEARCH, json={**text, "mode": mode, "k": 1})) == ["t1"]


def test_a_filter_in_a_query_is_json(words, pose_bytes):
    def ask(text):
        return words.post(
            SEARCH, query_string={"filter": text}, data=pose_bytes, content_type="application/octet-stream"
        )

    assert find(ask(json.dumps({"kind": "text", "sign_language": "ase"}))) in (["t1", "t3"], ["t3", "t1"])
    refused(ask("{kind"), 422, "input_invalid", "must be JSON")
    refused(ask('{"size": "x"}'), 422, "filter_invalid", "'size'")


def test_a_vector_searches_as_its_text_does(words):
    made = words.post("/api/embed/text", json={"text": "sun", "encoding_format": "base64"}).json
    query = {"vector": made["embeddings"][0], "space": made["space"], "signature": made["signature"]}
    answer = words.post(SEARCH, json=query)
    by_text = words.post(SEARCH, json={"text": "sun"}).json["hits"]
    assert find(answer) == [hit["id"] for hit in by_text]
    np.testing.assert_allclose(
        [hit["score"] for hit in answer.json["hits"]], [hit["score"] for hit in by_text], atol=1e-7
    )
    numbers = np.frombuffer(base64.b64decode(query["vector"]), "<f4").tolist()
    assert find(words.post(SEARCH, json={"vector": numbers})) == find(answer)


def test_another_space_is_refused_naming_both(words):
    space = words.get(WORDS).json["space"]
    answer = words.post(SEARCH, json={"vector": [1.0] * 32, "space": "other:123"})
    refused(answer, 409, "space_mismatch", "'other:123'", space)
    refused(words.post(SEARCH, json={"vector": [1.0] * 7}), 409, "space_mismatch", "(1, 7)", "32 dimensions", space)
    refused(words.post(SEARCH, json={"text": "a", "model_name": "default"}), 503, "weights_missing")


def test_hits_that_were_made_otherwise_are_warned_of(words, pose_base64):
    words.post(ENTRIES, json={"entries": [{"id": "flipped", "pose": pose_base64}], "flip": "always"})
    answer = words.post(SEARCH, json={"pose": pose_base64, "filter": {"kind": "pose"}}).json
    made = words.get(f"{ENTRIES}/flipped").json["signature"]
    assert any(made in warning and answer["signature"] in warning for warning in answer["warnings"])
    answer = words.post(SEARCH, json={"pose": pose_base64, "filter": {"id": "p"}}).json
    assert "warnings" not in answer


def test_several_collections_are_searched_together(words):
    words.put("/api/collections/more", json={})
    words.post("/api/collections/more/entries", json={"entries": [{"id": "m", "text": "sun", "sign_language": "ase"}]})
    words.put("/api/collections/foreign", json={"space": "x:1", "dimensions": 3})
    query = {"text": "sun", "sign_language": "ase"}
    hits = words.post("/api/search", json=query).json["hits"]
    assert [(hit["rank"], hit["id"], hit["collection"]) for hit in hits[:2]] == [(1, "m", "more"), (2, "t1", "words")]
    assert len(hits) == 5
    assert find(words.post("/api/search", json={**query, "collections": ["more"]})) == ["m"]
    grouped = words.post("/api/search", json={**query, "group_by": "gloss", "k": 2}).json["hits"]
    assert [hit["id"] for hit in grouped] == ["m", "t1"]
    both = words.post("/api/search", json={**query, "collections": ["words", "foreign"]})
    refused(both, 409, "space_mismatch", "'foreign'", "'x:1'", "tiny:")
    refused(words.post("/api/search", json={**query, "collections": ["nothing"]}), 404, "collection_unknown")
    refused(words.post("/api/search", json={"vector": [1.0] * 32}), 422, "input_invalid", "its space")
    assert len(find(words.post("/api/search", json={"vector": [1.0] * 3, "space": "x:1"}))) == 0


def test_a_collection_that_nobody_named_refuses_no_search(words):
    """Anybody may call the space of other vectors as that of a model is called."""
    space = words.get(WORDS).json["space"]
    words.put("/api/collections/others", json={"space": space, "dimensions": 3})
    query = {"vector": [1.0] * 32, "space": space}
    assert len(find(words.post("/api/search", json=query))) == 4
    assert len(find(words.post("/api/search", json={"text": "sun"}))) == 4
    named = words.post("/api/search", json={**query, "collections": ["words", "others"]})
    refused(named, 409, "space_mismatch", "'others' of space")
    unlike = words.post("/api/search", json={"vector": [1.0] * 5, "space": space})
    refused(unlike, 409, "space_mismatch", "has 3 dimensions")


def test_a_collection_that_is_deleted_during_a_search_of_all_is_left_out(words, monkeypatch):
    store = words.application.extensions["signclip"].store
    words.put("/api/collections/more", json={})
    listed = store.list_collections()
    words.delete("/api/collections/more")
    monkeypatch.setattr(store, "list_collections", lambda: listed)
    query = {"text": "sun", "sign_language": "ase", "k": 1}
    assert find(words.post("/api/search", json=query)) == ["t1"]
    refused(words.post("/api/search", json={**query, "collections": ["more"]}), 404, "collection_unknown", "'more'")


@pytest.mark.parametrize(
    "vector", [[0.0] * 32, [1e39] * 32, [1e30] * 32, base64.b64encode(np.full(32, np.nan, "<f4")).decode()]
)
def test_a_vector_without_a_direction_is_refused(words, vector):
    space = words.get(WORDS).json["space"]
    for path in (SEARCH, "/api/search"):
        answer = words.post(path, json={"vector": vector, "space": space})
        problem = refused(answer, 422, "entry_invalid", "/vector", "is 0, or holds numbers that are not finite")
        assert problem["errors"][0]["pointer"] == "/vector"


def test_a_clip_without_hands_is_refused_unless_it_is_wanted(words):
    hands = {name: slice(None) for name in HOLISTIC if "HAND" in name}
    pose = base64.b64encode(write_pose(build_pose(missing=hands))).decode()
    refused(words.post(SEARCH, json={"pose": pose}), 422, "pose_no_hands", "/pose", "allow_no_hands")
    assert find(words.post(SEARCH, json={"pose": pose, "allow_no_hands": True}))


@pytest.mark.parametrize(
    ("query", "fragment"),
    [
        ({}, "one of pose, video, text, vector"),
        ({"text": "a", "vector": [1]}, "there are 2"),
        ({"text": "a", "k": 0}, "/k"),
        ({"text": "a", "k": 1001}, "1000"),
        ({"text": "a", "group_by": "source"}, "gloss"),
        ({"text": "a", "filter": {"glos": "x"}}, "'glos'"),
        ({"text": "a", "filter": "x"}, "JSON"),
        ({"text": "a", "min_score": 2}, "/min_score"),
    ],
)
def test_a_wrong_search_is_refused(words, query, fragment):
    answer = words.post(SEARCH, json=query)
    assert answer.status_code == 422
    assert fragment in answer.get_data(as_text=True)


def test_a_video_is_searched_for_by_its_pose(make_video_client, estimators):
    client = make_video_client()
    client.put(WORDS, json={})
    video = base64.b64encode(b"ase_A").decode()
    stored = client.post(ENTRIES, json={"entries": [{"id": "v", "video": video}, {"text": "sun"}]})
    assert stored.json["stored"] == 2, stored.json
    assert find(client.post(SEARCH, json={"video": video}))[0] == "v"
    raw = client.post(SEARCH, data=b"ase_A", content_type="video/mp4")
    assert find(raw)[0] == "v"
    assert client.get(f"{ENTRIES}/v").json["preview"] == f"{ENTRIES}/v/preview.svg"


@pytest.mark.parametrize(
    ("kind", "media", "start"),
    [
        ("svg", "image/svg+xml", b"<svg "),
        ("gif", "image/gif", b"GIF8"),
        ("webp", "image/webp", b"RIFF"),
        ("pose", "application/octet-stream", b"\xcd\xccL>"),
    ],
)
def test_previews_are_drawn_from_the_pose_that_is_kept(words, kind, media, start):
    answer = words.get(f"{ENTRIES}/p/preview.{kind}")
    assert (answer.status_code, answer.mimetype) == (200, media)
    assert answer.data.startswith(start)
    assert len(answer.data) <= 50_000
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"


def test_what_has_no_preview_is_answered_404(words):
    refused(words.get(f"{ENTRIES}/t1/preview.svg"), 404, "preview_missing", "'t1'", "keep_pose")
    refused(words.get(f"{ENTRIES}/p/preview.png"), 404, "preview_missing", "preview.png", "webp")
    refused(words.get(f"{ENTRIES}/none/preview.svg"), 404, "entry_unknown", "'none'")
    assert words.get(f"{ENTRIES}/..%2Fp/preview.svg").status_code == 404


def test_a_client_may_shorten_the_time_of_searches_and_entries(words, engine):
    entry, query = {"entries": [{"text": "sun"}]}, {"text": "sun"}
    for path, body in ((ENTRIES, entry), (SEARCH, query), ("/api/search", query)):
        for headers, seconds in (({}, 120), ({"X-Timeout-Ms": "5000"}, 5), ({"X-Timeout-Ms": "500000"}, 120)):
            before = time.monotonic()
            assert words.post(path, json=body, headers=headers).status_code == 200
            assert before + seconds <= engine.requests[-1].deadline <= time.monotonic() + seconds
