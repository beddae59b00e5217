"""Entries that cannot be stored: each is refused with its place, or skipped, and stops no other."""

from __future__ import annotations

import json

import pytest

from tests.app.routes.test_collection_routes import ENTRIES, LINES, WORDS, make_vector, refused


@pytest.fixture
def words(client):
    """A client of a service with an empty collection `words` of the tiny model's space."""
    assert client.put(WORDS, json={}).status_code == 200
    return client


def test_entries_that_cannot_be_stored_are_skipped_too(words, monkeypatch):
    good = {"vector": make_vector(1)}
    bad = [
        ({"id": "zero", "vector": [0.0] * 32}, "entry_invalid"),
        ({"id": "short", "vector": [1.0] * 5}, "entry_invalid"),
        ({"id": "infinite", "vector": [1e39] * 32}, "entry_invalid"),
        ({"id": "huge", "vector": [1e30] * 32}, "entry_invalid"),
        ({"id": "a/b", **good}, "entry_invalid"),
        ({"id": "tag", **good, "tags": {"a=b": 1}}, "entry_invalid"),
        ({"id": "foreign", **good, "space": "x:1"}, "space_mismatch"),
    ]
    entries = [{"id": "first", **good}, *(entry for entry, _ in bad), {"id": "last", **good}]
    answer = words.post(ENTRIES, json={"entries": entries, "on_error": "skip"}).json
    assert (answer["stored"], answer["ids"]) == (2, ["first", "last"])
    expected = [(number, code) for number, (_, code) in enumerate(bad, start=1)]
    assert [(one["index"], one["code"]) for one in answer["errors"]] == expected
    for entry, code in bad:
        refused(words.post(ENTRIES, json={"entries": [entry]}), 409 if code == "space_mismatch" else 422, code)
    lines = "\n".join(json.dumps(entry) for entry in entries)
    answer = words.post(f"{ENTRIES}?on_error=skip", data=lines, content_type=LINES).json
    assert (answer["stored"], len(answer["errors"])) == (2, len(bad))
    # Replaced weights are the fault of no entry.
    monkeypatch.setattr("tests.app.conftest.DIGEST", "f" * 64)
    refused(words.post(ENTRIES, json={"entries": [{"text": "a"}], "on_error": "skip"}), 409, "space_mismatch")


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"sign_language": "x" * 65}, "input_invalid"),
        ({"sign_language": "ase", "spoken_language": "English!"}, "input_invalid"),
        ({"sign_language": "ase", "spoken_language": "e"}, "input_invalid"),
        ({"sign_language": "nothing"}, "language_unknown"),
    ],
)
def test_a_text_with_a_language_that_makes_no_prompt_is_refused(words, tags, code):
    text = {"id": "a", "text": "house", **tags}
    problem = refused(words.post(ENTRIES, json={"entries": [text]}), 422, code, "/entries/0/text")
    assert problem["errors"][0]["pointer"] == "/entries/0/text"
    answer = words.post(ENTRIES, json={"entries": [text, {"id": "b", "text": "sun"}], "on_error": "skip"}).json
    assert (answer["ids"], [one["code"] for one in answer["errors"]]) == (["b"], [code])


def test_a_language_without_letters_is_none(words):
    named = {"sign_language": "", "spoken_language": ""}
    entries = [{"id": "a", "text": "house", **named}, {"id": "b", "text": "house"}]
    entries.append({"id": "c", "text": "house", "sign_language": "ase", "spoken_language": ""})
    entries.append({"id": "d", "text": "house", "sign_language": "ase"})
    assert words.post(ENTRIES, json={"entries": entries}).json["stored"] == 4
    without, plain, signed, by_default = (words.get(f"{ENTRIES}/{name}").json["vector"] for name in "abcd")
    assert (without, signed) == (plain, by_default)
    assert plain != signed


def test_a_name_of_a_space_that_nothing_has_is_refused_at_its_place(words):
    entry = {"id": "long", "vector": make_vector(1), "space": "x" * 129}
    problem = refused(words.post(ENTRIES, json={"entries": [entry]}), 422, "input_invalid", "/entries/0/space")
    assert problem["errors"][0]["pointer"] == "/entries/0/space"


def test_two_entries_of_one_id_are_refused_because_one_would_be_lost(words):
    entries = [{"id": name, "vector": make_vector(row)} for row, name in enumerate(["a", "b", "a"])]
    problem = refused(words.post(ENTRIES, json={"entries": entries}), 422, "input_invalid", "the same id 'a'")
    assert problem["errors"][0]["pointer"] == "/entries/2/vector"
    assert words.get(WORDS).json["entries"] == 0
    same = [{"text": "sun"}, {"text": "sun"}]  # without ids, one entry
    assert words.post(ENTRIES, json={"entries": same}).status_code == 200
    assert words.get(WORDS).json["entries"] == 1
