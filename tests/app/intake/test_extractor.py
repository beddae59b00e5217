"""A request can name what estimated its poses; the answer then says what that means for their vectors."""

from __future__ import annotations

import base64
import io

import pytest

NAME = "browser mediapipe-holistic-js-1.0 model_complexity=1"


def find_warnings(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [warning for warning in answer.json.get("warnings", []) if NAME in warning]


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("/api/embed/pose", {}),
        ("/api/similarity", {"text": ["house"]}),
        ("/api/classify", {"labels": ["house", "sun"]}),
        ("/api/score", {"reference_text": ["house"]}),
        ("/api/spot", {"query": ["house"], "threshold": 0.5}),
    ],
)
def test_the_warnings_repeat_it(client, pose_base64, path, extra):
    key = pose_base64 if path == "/api/spot" else [pose_base64]
    body = {"pose": key, **extra}
    (warning,) = find_warnings(client.post(path, json=body | {"extractor": NAME}))
    assert "not equal" in warning
    assert not find_warnings(client.post(path, json=body))


def test_a_form_can_name_it(client, pose_bytes):
    form = {"pose": (io.BytesIO(pose_bytes), "clip.pose"), "extractor": NAME}
    assert len(find_warnings(client.post("/api/embed/pose", data=form))) == 1


def test_vectors_and_signature_do_not_depend_on_it(client, pose_bytes):
    body = {"pose": base64.b64encode(pose_bytes).decode()}
    plain = client.post("/api/embed/pose", json=body).json
    named = client.post("/api/embed/pose", json=body | {"extractor": NAME}).json
    assert named["embeddings"] == plain["embeddings"]
    assert named["signature"] == plain["signature"]


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines", "\u00e9"])
def test_names_that_a_log_or_a_page_could_trip_over_are_refused(client, pose_base64, name):
    answer = client.post("/api/embed/pose", json={"pose": pose_base64, "extractor": name})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/extractor"
