"""Collections and their entries over HTTP: every form of a body, what is stored, and what is refused."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest

LINES = "application/x-ndjson"
WORDS = "/api/collections/words"
ENTRIES = f"{WORDS}/entries"


def make_vector(seed: int) -> list[float]:
    return np.random.default_rng(seed).normal(size=32).tolist()


def read_lines(answer) -> list[dict]:
    return [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]


@pytest.fixture
def words(client):
    """A client of a service with an empty collection `words` of the tiny model's space."""
    made = client.put(WORDS, json={"description": "signs of the house"})
    assert made.status_code == 200, made.json
    return client


def refused(answer, status: int, code: str, *fragments: str) -> dict:
    assert answer.status_code == status, answer.json
    assert answer.json["code"] == code
    for fragment in fragments:
        assert fragment in answer.json["detail"]
    return answer.json


def test_a_collection_has_the_space_of_the_default_model(words):
    space = words.post("/api/embed/text", json={"text": "sun"}).json["space"]
    about = words.get(WORDS).json
    assert (about["space"], about["dimensions"], about["entries"]) == (space, 32, 0)
    assert about["description"] == "signs of the house"
    assert words.get("/api/collections").json == {"collections": [about]}
    assert words.put(WORDS, json={"description": "new"}).json["description"] == "new"
    assert words.delete(WORDS).json == {"deleted": 0}
    refused(words.get(WORDS), 404, "collection_unknown", "'words'")


def test_a_model_that_is_not_loaded_is_asked_for_its_space(client, engine):
    from dataclasses import replace

    engine.models = {**engine.models, "tiny": replace(engine.models["tiny"], digest=None)}
    assert client.put(WORDS, json={}).json["space"].startswith("tiny:")
    assert len(engine.requests) == 1


def test_entries_of_every_kind_in_json(words, pose_base64):
    vector = np.array(make_vector(1), "<f4")
    entries = [
        {"id": "a", "pose": pose_base64, "gloss": "HOUSE", "sign_language": "ase", "tags": {"signer": "anna", "n": 1}},
        {"id": "b", "text": "house", "sign_language": "ase", "gloss": "HOUSE"},
        {"id": "c", "vector": vector.tolist(), "source": "elsewhere"},
        {"id": "d", "vector": base64.b64encode(vector).decode(), "kind": "text", "signature": "tiny-1"},
    ]
    answer = words.post(ENTRIES, json={"entries": entries, "flip": "auto"})
    assert answer.json == {"stored": 4, "ids": ["a", "b", "c", "d"], "space": words.get(WORDS).json["space"]}
    shown = {entry_id: words.get(f"{ENTRIES}/{entry_id}").json for entry_id in "abcd"}
    pose = words.post("/api/embed/pose", json={"pose": pose_base64, "flip": "auto"}).json
    text = words.post("/api/embed/text", json={"text": "house", "sign_language": "ase"}).json
    np.testing.assert_allclose(shown["a"]["vector"], pose["embeddings"][0], atol=1e-6)
    np.testing.assert_allclose(shown["b"]["vector"], text["embeddings"][0], atol=1e-6)
    np.testing.assert_allclose(shown["c"]["vector"], vector / np.linalg.norm(vector), atol=1e-6)
    assert shown["d"]["vector"] == shown["c"]["vector"]
    assert [shown[key]["kind"] for key in "abcd"] == ["pose", "text", "pose", "text"]
    assert [shown[key]["signature"] for key in "abcd"] == [pose["signature"], text["signature"], None, "tiny-1"]
    assert shown["a"]["tags"] == {"signer": "anna", "n": 1}
    assert shown["a"]["quality"]["frames"] == 21
    assert shown["a"]["preview"] == f"{ENTRIES}/a/preview.svg"
    assert [shown[key]["preview"] for key in "bcd"] == [None] * 3
    assert shown["b"]["texts"] == ["house"]


def test_files_of_a_form_get_their_facts_in_order_or_ids_from_their_names(words, pose_bytes):
    def files():
        return [(io.BytesIO(pose_bytes), name) for name in ("dir/ase_A.pose", "sgg_Ü.pose.gz")]

    assert words.post(ENTRIES, data={"pose": files()}).json["ids"] == ["ase_A", "sgg_Ü"]
    facts = [{"id": "x", "gloss": "A"}, {"gloss": "Ü"}]
    answer = words.post(ENTRIES, data={"pose": files(), "entries": json.dumps(facts), "flip": "auto"})
    assert answer.json["ids"] == ["x", "sgg_Ü"]
    assert words.get(f"{ENTRIES}/x").json["gloss"] == "A"
    assert words.get(WORDS).json["entries"] == 3
    facts = json.dumps(facts[:1])
    refused(
        words.post(ENTRIES, data={"pose": files(), "entries": facts}), 422, "input_invalid", "1 objects for 2 files"
    )
    same = [(io.BytesIO(pose_bytes), "a/x.pose"), (io.BytesIO(pose_bytes), "b/x.pose")]
    refused(words.post(ENTRIES, data={"pose": same}), 422, "input_invalid", "/pose/1 and /pose/0", "'x'")


def test_lines_are_stored_as_they_come_and_progress_is_told(words):
    lines = [json.dumps({"id": f"e{n}", "vector": make_vector(n)}) for n in range(600)]
    body = "\n".join(lines[:300]) + "\n\n" + "\n".join(lines[300:])
    answer = words.post(ENTRIES, data=body, headers={"Content-Type": LINES, "Accept": LINES})
    *progress, last = read_lines(answer)
    assert progress == [{"done": done, "failed": 0, "total": None} for done in (256, 512, 600)]
    assert last["stored"] == 600
    assert words.get(WORDS).json["entries"] == 600


def test_a_bad_line_ends_the_lines_after_what_was_counted(words):
    lines = [json.dumps({"id": f"e{n}", "vector": make_vector(n)}) for n in range(300)]
    body = "\n".join([*lines, '{"id": "bad"}'])
    *progress, last = read_lines(words.post(ENTRIES, data=body, headers={"Content-Type": LINES, "Accept": LINES}))
    assert progress == [{"done": 256, "failed": 0, "total": None}]
    assert (last["status"], last["code"]) == (422, "input_invalid")
    assert last["errors"][0]["pointer"].startswith("/300")
    assert words.get(WORDS).json["entries"] == 256


def test_json_is_stored_whole_or_not_at_all(words):
    entries = [{"id": "a", "vector": make_vector(1)}, {"id": "b", "vector": make_vector(2)[:5]}]
    refused(words.post(ENTRIES, json={"entries": entries}), 422, "entry_invalid", "'b'", "(5,)", "(32,)")
    assert words.get(WORDS).json["entries"] == 0


def test_bad_entries_can_be_skipped(words, pose_base64):
    entries = [{"id": "a", "pose": "!"}, {"id": "b", "pose": pose_base64}, {"id": "c", "text": "x" * 10_001}]
    entries.append({"id": "d", "text": "house", "sign_language": "nothing"})
    answer = words.post(ENTRIES, json={"entries": entries, "on_error": "skip"}).json
    assert answer["ids"] == ["b"]
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [
        (0, "base64_invalid"),
        (2, "text_too_long"),
        (3, "language_unknown"),
    ]
    problem = refused(words.post(ENTRIES, json={"entries": entries[:1]}), 422, "base64_invalid", "/entries/0/pose")
    assert problem["errors"][0]["pointer"] == "/entries/0/pose"


def test_an_entry_without_an_id_has_one_made_of_its_content(words):
    entries = [{"text": "house"}, {"text": "sun"}, {"text": "house"}]
    ids = words.post(ENTRIES, json={"entries": entries}).json["ids"]
    assert ids[0] == ids[2] != ids[1]
    assert words.get(WORDS).json["entries"] == 2
    signed = [{"text": "sun", "sign_language": language} for language in ("ase", "gsg", "ase")]
    signed.append({**signed[0], "spoken_language": "de"})
    more = words.post(ENTRIES, json={"entries": signed}).json["ids"]
    assert more[0] == more[2]
    assert len({*ids, *more}) == 5
    assert words.get(WORDS).json["entries"] == 5


def test_a_pose_is_kept_unless_it_is_not_wanted(words, pose_base64):
    words.post(ENTRIES, json={"entries": [{"id": "a", "pose": pose_base64}], "keep_pose": False})
    assert words.get(f"{ENTRIES}/a").json["preview"] is None


def test_facts_of_an_entry_are_changed_one_by_one(words):
    words.post(ENTRIES, json={"entries": [{"id": "a", "text": "house", "gloss": "HOUSE", "tags": {"x": 1}}]})
    before = words.get(f"{ENTRIES}/a").json
    changed = words.patch(f"{ENTRIES}/a", json={"gloss": "HOME", "texts": ["home"]}).json
    assert {key for key in before if changed[key] != before[key]} == {"gloss", "texts", "created"}
    assert words.patch(f"{ENTRIES}/a", json={"tags": {}}).json["tags"] == {}
    refused(words.patch(f"{ENTRIES}/b", json={"gloss": "X"}), 404, "entry_unknown", "'b'")
    refused(words.patch(f"{ENTRIES}/a", json={"vector": [1]}), 422, "input_invalid", "unknown key")


def test_an_entry_is_deleted_once(words):
    words.post(ENTRIES, json={"entries": [{"id": "a b+Ü", "text": "house"}]})
    assert words.delete(f"{ENTRIES}/a%20b+%C3%9C").json == {"deleted": 1}
    refused(words.delete(f"{ENTRIES}/a%20b+%C3%9C"), 404, "entry_unknown")


@pytest.mark.parametrize(
    ("entry", "fragment"),
    [
        ({"id": "a"}, "one of pose, video, text, vector"),
        ({"text": "a", "pose": "x"}, "there are 2"),
        ({"text": "a", "kind": "pose"}, "kind belongs to a vector"),
        ({"text": "a", "tags": {"x": None}}, "/entries/0/tags/x"),
        ({"text": "a", "glos": "x"}, "did you mean 'gloss'"),
        ({"text": "a", "id": "../x"}, "no slash"),
        ({"text": "a", "id": ".."}, "is no id"),
        ({"vector": []}, "/entries/0/vector"),
        ({"vector": "AAA="}, "2 bytes"),
        ({"vector": [0.0] * 32}, "is 0"),
    ],
)
def test_a_wrong_entry_is_refused(words, entry, fragment):
    answer = words.post(ENTRIES, json={"entries": [entry]})
    assert answer.status_code == 422
    assert fragment in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/collections/..%2F..%2Fetc", 404),
        ("/api/collections/%2e%2e", 422),
        ("/api/collections/_attachments", 422),
        ("/api/collections/a.lance", 422),
        ("/api/collections/Words", 422),
        ("/api/collections/words/entries/..%2F..%2Fx", 404),
        ("/api/collections/words/entries/%2e%2e", 404),
        ("/api/collections/words/entries/'%20OR%201=1--", 404),
        ("/api/collections/words/entries/a%00b", 404),
    ],
)
def test_names_that_are_paths_reach_no_file(words, path, status):
    for method in ("GET", "DELETE"):
        assert words.open(path, method=method).status_code == status


def test_a_space_of_elsewhere_takes_vectors_alone(client):
    refused(client.put(WORDS, json={"space": "x:1"}), 422, "input_invalid", "together")
    refused(client.put(WORDS, json={"space": "", "dimensions": 3}), 422, "input_invalid", "/space")
    refused(client.put(WORDS, json={"space": "x:1", "dimensions": 0}), 422, "input_invalid", "/dimensions")
    assert client.put("/api/collections/small", json={"space": "x", "dimensions": 1}).json["space"] == "x"
    assert client.put(WORDS, json={"space": "x:1", "dimensions": 3}).json["space"] == "x:1"
    refused(client.put(WORDS, json={}), 409, "collection_exists", "'x:1'", "'tiny:")
    refused(client.post(ENTRIES, json={"entries": [{"text": "a"}]}), 409, "space_mismatch", "'x:1'", "send vectors")
    of_another = {"id": "a", "vector": [1, 2, 3], "space": "y:1"}
    refused(client.post(ENTRIES, json={"entries": [of_another]}), 409, "space_mismatch", "'y:1'", "'x:1'")
    assert client.post(ENTRIES, json={"entries": [{**of_another, "space": "x:1"}]}).json["stored"] == 1


def test_weights_that_were_replaced_make_vectors_of_another_space(words, engine, monkeypatch):
    monkeypatch.setattr("tests.app.conftest.DIGEST", "f" * 64)
    refused(words.post(ENTRIES, json={"entries": [{"text": "a"}]}), 409, "space_mismatch", "tiny:")


def test_too_much_is_answered_413(words, monkeypatch):
    monkeypatch.setattr("app.intake.entries.MAX_ENTRIES", 2)
    entries = [{"text": "a"}] * 3
    refused(words.post(ENTRIES, json={"entries": entries}), 413, "too_many_items", "3 items", "2")
    monkeypatch.setattr("app.intake.entries.MAX_IMPORT_BYTES", 20)
    answer = words.post(ENTRIES, data=b'{"text": "a"}\n' * 3, content_type=LINES)
    refused(answer, 413, "body_too_large")


def test_a_line_that_is_too_long_is_named(words):
    most = words.application.extensions["signclip"].settings.max_body_bytes
    line = b'{"text": "%s"}\n' % (b"a" * (most + 2**20))
    refused(words.post(ENTRIES, data=line, content_type=LINES), 413, "body_too_large", "line 1 has more than")


def test_other_types_of_content_are_answered_415(words):
    refused(words.post(ENTRIES, data="a", content_type="text/csv"), 415, "media_type_unsupported", "x-ndjson")


def test_a_service_that_does_not_search_does_not_import_the_store():
    import subprocess
    import sys

    code = (
        "import sys; from app import create_app; from app.settings import ServiceSettings\n"
        "client = create_app(ServiceSettings()).test_client()\n"
        "assert client.get('/healthz').status_code == client.get('/openapi.json').status_code == 200\n"
        "sys.exit(', '.join({'lancedb', 'pyarrow', 'sklearn'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
