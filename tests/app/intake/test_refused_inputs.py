"""What a schema or an item refuses: each with its pointer, and nothing of it for the model to do."""

from __future__ import annotations

import base64
import io

import pytest

from app.errors import InputError
from app.intake.entry_schemas import CollectionSearchRequest, EntriesRequest, FormRequest
from app.intake.recognition_schemas import SpotRequest
from app.intake.validation import validate

RAW = {"Content-Type": "application/octet-stream"}
TEXT, POSE, SIMILARITY, OPENAI, INSPECT = (
    "/api/embed/text",
    "/api/embed/pose",
    "/api/similarity",
    "/v1/embeddings",
    "/api/pose/inspect",
)
NO_POSE = base64.b64encode(b"no pose at all").decode()


@pytest.mark.parametrize(
    ("path", "body", "pointer", "fragment"),
    [
        (TEXT, {}, "/text", "required"),
        (TEXT, {"text": []}, "/text", "at least 1"),
        (TEXT, {"text": None}, "/text", "string"),
        (TEXT, {"text": True}, "/text", "string"),
        (TEXT, {"text": 7}, "/text", "string"),
        (TEXT, {"text": ["a", 7]}, "/text/1", "string"),
        (TEXT, {"text": [["a"]]}, "/text/0", "string"),
        (TEXT, {"text": {"a": "b"}}, "/text", "string"),
        (TEXT, {"texts": ["a"]}, "/texts", "did you mean 'text'?"),
        (TEXT, {"text": "a", "model": "tiny"}, "/model", "did you mean 'model_name'?"),
        (TEXT, {"text": "a", "zz/~": 1}, "/zz~1~0", "there are: "),
        (TEXT, {"text": "a", "pose": "b"}, "/pose", "unknown key"),
        (TEXT, {"text": "a", "normalize": "true"}, "/normalize", "boolean"),
        (TEXT, {"text": "a", "normalize": 1}, "/normalize", "boolean"),
        (TEXT, {"text": "a", "truncate": "yes"}, "/truncate", "boolean"),
        (TEXT, {"text": "a", "encoding_format": "base32"}, "/encoding_format", "'base64'"),
        (TEXT, {"text": "a", "on_error": "stop"}, "/on_error", "'skip'"),
        (TEXT, {"text": "a", "model_name": ""}, "/model_name", "at least 1"),
        (TEXT, {"text": "a", "model_name": "m" * 65}, "/model_name", "at most 64"),
        (TEXT, {"text": "a", "model_name": 5}, "/model_name", "string"),
        (TEXT, {"text": "a", "sign_language": "klingon"}, "/sign_language", "no sign language 'klingon'"),
        (TEXT, {"text": "a", "sign_language": "ase", "spoken_language": "<en>"}, "/spoken_language", "pattern"),
        (TEXT, {"text": "a", "spoken_language": "en"}, "", "needs sign_language"),
        (TEXT, {"text": ["a", "x" * 10_001]}, "/text/1", "10001 characters; a text may have 10000"),
        (TEXT, {"text": "sun " * 50}, "/text", "50 word pieces; model 'tiny' takes 29"),
        (TEXT, {"text": ["sun " * 50]}, "/text/0", "truncate: true"),
        (POSE, {}, "/pose", "required"),
        (POSE, {"pose": "house"}, "/pose", "not base64"),
        (POSE, {"pose": ["schön"]}, "/pose/0", "not base64"),
        (POSE, {"pose": [NO_POSE]}, "/pose/0", ""),
        (POSE, {"pose": ""}, "/pose", ""),
        (POSE, {"pose": NO_POSE, "flip": "maybe"}, "/flip", "'auto'"),
        (POSE, {"pose": NO_POSE, "person": -1}, "/person", "greater"),
        (POSE, {"pose": NO_POSE, "person": 1.5}, "/person", "integer"),
        (POSE, {"pose": NO_POSE, "person": True}, "/person", "integer"),
        (POSE, {"pose": NO_POSE, "quality": "yes"}, "/quality", "boolean"),
        (POSE, {"pose": NO_POSE, "sign_language": "ase"}, "/sign_language", "unknown key"),
        (SIMILARITY, {}, "", "at least one of text, pose and video is needed"),
        (SIMILARITY, {"text": []}, "/text", "at least 1"),
        (SIMILARITY, {"text": "a", "pose": [NO_POSE]}, "/pose/0", ""),
        (SIMILARITY, {"text": "a", "normalize": False}, "/normalize", "unknown key"),
        (INSPECT, {}, "/pose", "required"),
        (INSPECT, {"pose": [NO_POSE]}, "/pose", "string"),
        (OPENAI, {}, "/input", "required"),
        (OPENAI, {"input": []}, "/input", "at least 1"),
        (OPENAI, {"input": [1, 2]}, "/input", "token arrays"),
        (OPENAI, {"input": [[1, 2]]}, "/input", "token arrays"),
        (OPENAI, {"input": "a", "dimensions": 16}, "/dimensions", "32 dimensions"),
        (OPENAI, {"input": "a", "encoding_format": "base64_float16"}, "/encoding_format", "'base64'"),
        (OPENAI, {"input": "a", "model_name": "tiny"}, "/model_name", "did you mean 'model'?"),
    ],
)
def test_a_refusal_points_at_what_is_wrong(client, engine, path, body, pointer, fragment):
    answer = client.post(path, json=body)
    assert answer.status_code == 422, answer.text
    places = {place["pointer"]: place["message"] for place in answer.json["errors"]}
    assert pointer in places
    assert fragment in places[pointer]
    assert not engine.requests


@pytest.mark.parametrize(
    ("query", "fragment"),
    [
        ("flop=auto", "did you mean 'flip'?"),
        ("flip=auto&flip=never", "given 2 times"),
        ("person=one", "integer"),
        ("normalize=perhaps", "boolean"),
        ("pose=abc", "unknown key"),
    ],
)
def test_options_of_a_raw_body_are_checked(client, pose_bytes, query, fragment):
    answer = client.post(f"{POSE}?{query}", data=pose_bytes, headers=RAW)
    assert answer.status_code == 422
    assert fragment in answer.text


def test_a_pointer_to_a_key_with_a_slash_is_one_step(client, pose_bytes):
    answer = client.post(f"{POSE}?a/b~=1&a/b~=2", data=pose_bytes, headers=RAW)
    assert [problem["pointer"] for problem in answer.json["errors"]] == ["/a~1b~0"]


def test_options_of_a_json_body_do_not_belong_in_the_query(client):
    answer = client.post(f"{TEXT}?normalize=false", json={"text": "house"})
    assert answer.status_code == 422
    assert "belong in the body" in answer.json["detail"]


@pytest.mark.parametrize(
    ("parts", "pointer"),
    [
        ({}, "/pose"),
        ({"pose": "text"}, "/pose/0"),
        ({"clip": (io.BytesIO(b"x"), "x.pose")}, "/clip"),
        ({"pose": (io.BytesIO(b"x"), "x.pose"), "flop": "auto"}, "/flop"),
        ({"pose": (io.BytesIO(b"x"), "x.pose"), "flip": ["auto", "never"]}, "/flip"),
        ({"pose": (io.BytesIO(b"x"), "x.pose")}, "/pose/0"),
    ],
)
def test_parts_of_a_form_are_checked(client, parts, pointer):
    answer = client.post(POSE, data=parts, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("given", ["0", "-5", "1.5", "soon", "", "9" * 13, "１０"])
def test_a_timeout_is_a_positive_whole_number(client, given):
    try:
        answer = client.post(TEXT, json={"text": "house"}, headers={"X-Timeout-Ms": given})
    except UnicodeEncodeError:
        pytest.skip("no such header can be sent")
    assert answer.status_code == 422
    assert "X-Timeout-Ms" in answer.json["detail"]


def test_frames_past_the_models_are_refused_with_both_numbers(client, engine, golden_poses):
    answer = client.post(POSE, data=golden_poses["house"], headers=RAW)
    assert answer.status_code == 422
    assert answer.json["code"] == "frames_over_limit"
    assert "73 frames; model 'tiny' takes 64" in answer.json["detail"]
    assert not engine.requests


def test_an_inspected_pose_that_is_refused_is_pointed_at(client, pose_base64):
    for body, code in (
        ({"pose": "x"}, "base64_invalid"),
        ({"pose": "AAAA"}, "not_a_pose"),
        ({"pose": pose_base64, "person": 5}, "pose_person_invalid"),
    ):
        answer = client.post("/api/pose/inspect", json=body)
        assert (answer.status_code, answer.json["code"]) == (422, code)
        assert [place["pointer"] for place in answer.json["errors"]] == ["/pose"]


def test_a_bad_pose_keeps_its_own_code(client, pose_bytes):
    answer = client.post(POSE, data=pose_bytes[:-1], headers=RAW)
    assert answer.status_code == 422
    assert answer.json["code"] == "pose_truncated"


def test_a_person_who_is_not_there(client, pose_base64):
    answer = client.post(POSE, json={"pose": pose_base64, "person": 3})
    assert (answer.status_code, answer.json["code"]) == (422, "pose_person_invalid")


def test_problems_are_few_and_repeat_no_input(client):
    body = {f"unknown key {number} {'x' * 1000}": "a secret" for number in range(60)}
    answer = client.post(TEXT, json={"text": ["a secret"] * 3 + [1], **body})
    assert answer.status_code == 422
    assert "secret" not in answer.text
    assert len(answer.json["errors"]) == 16
    assert len(answer.data) < 8192
    many = client.post(TEXT, json={str(number): 1 for number in range(100_000)})
    assert (many.status_code, len(many.data) < 1024) == (422, True)


@pytest.mark.parametrize(
    ("schema", "document", "pointers"),
    [
        (EntriesRequest, {"entries": [{"vector": [True, 1]}]}, ["/entries/0/vector/0", "/entries/0/vector"]),
        (EntriesRequest, {"entries": [{"vector": [1], "tags": {"x": [1]}}]}, ["/entries/0/tags/x"]),
        (EntriesRequest, {"entries": [{"vector": [1], "tags": {"x": {"y": 1}}}]}, ["/entries/0/tags/x"]),
        (EntriesRequest, {"entries": [{"vectors": [1]}]}, ["/entries/0/vectors"]),
        (FormRequest, {"entries": '[{"gloss": 1}]'}, ["/entries/0/gloss"]),
        (CollectionSearchRequest, {"text": "A", "min_score": "most"}, ["/min_score"]),
        (SpotRequest, {"pose": "", "query": ["A", 1], "shots": "few"}, ["/shots", "/query/1"]),
    ],
)
def test_every_pointer_leads_to_a_value_that_was_sent(schema, document, pointers):
    with pytest.raises(InputError) as refusal:
        validate(schema, document, max_items=9, strict=schema is not FormRequest)
    assert list(dict.fromkeys(problem.pointer for problem in refusal.value.problems)) == pointers
