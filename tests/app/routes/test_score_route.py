"""SignCLIPScore over HTTP, against the same numbers computed here."""

from __future__ import annotations

import base64

import numpy as np
import pytest

SCORE = "/api/score"


@pytest.fixture
def poses(golden_poses):
    return [base64.b64encode(golden_poses[name]).decode() for name in ("ase_A", "gsg_C")]


def embed(client, kind: str, items, **options) -> np.ndarray:
    answer = client.post(f"/api/embed/{kind}", json={kind: items, "normalize": False, **options})
    return np.array(answer.json["embeddings"], dtype=np.float64)


def test_texts_score_each_hypothesis(client, poses):
    answer = client.post(
        SCORE, json={"pose": poses, "reference_text": ["house", "sun"], "sign_language": "ase", "flip": "auto"}
    ).json
    clips = embed(client, "pose", poses, flip="auto")
    texts = embed(client, "text", ["house", "sun"], sign_language="ase")
    for row, pair in enumerate(answer["pairs"]):
        dot = clips[row] @ texts[row]
        assert pair["dot"] == pytest.approx(dot, rel=1e-5)
        lengths = np.linalg.norm(clips[row]) * np.linalg.norm(texts[row])
        assert pair["cosine"] == pytest.approx(dot / lengths, rel=1e-5)
        assert pair["l2"] == pytest.approx(np.linalg.norm(clips[row] - texts[row]), rel=1e-5)
    corpus = answer["corpus"]
    for name in ("cosine", "dot", "l2"):
        values = [pair[name] for pair in answer["pairs"]]
        assert corpus[name]["mean"] == pytest.approx(np.mean(values))
        assert min(values) - 1e-9 <= corpus[name]["low"] <= corpus[name]["mean"] <= corpus[name]["high"]
        assert corpus[name]["high"] <= max(values) + 1e-9
    origin = client.post("/api/embed/pose", json={"pose": poses, "flip": "auto"}).json
    assert (answer["signature"], answer["space"]) == (origin["signature"], origin["space"])
    assert answer["prompts"] == ["<en> <ase> house", "<en> <ase> sun"]


def test_poses_may_be_the_reference_and_one_may_serve_all(client, poses):
    answer = client.post(SCORE, json={"pose": poses, "reference_pose": poses[0]}).json
    assert answer["pairs"][0]["cosine"] == pytest.approx(1)
    assert answer["pairs"][0]["l2"] == pytest.approx(0, abs=1e-5)
    assert answer["pairs"][1]["cosine"] < 0.99


def test_bad_pairs_are_isolated(client, poses, handless_base64):
    body = {"pose": [*poses, handless_base64], "reference_text": ["house", "x" * 11_000, "sun"]}
    answer = client.post(SCORE, json={**body, "reference_text": ["house", "police", "sun"]})
    assert (answer.status_code, answer.json["code"]) == (422, "pose_no_hands")
    answer = client.post(SCORE, json={**body, "on_error": "skip"}).json
    assert [pair is None for pair in answer["pairs"]] == [False, True, True]
    assert answer["corpus"]["cosine"]["mean"] == pytest.approx(answer["pairs"][0]["cosine"])
    assert {error["pointer"] for error in answer["errors"]} == {"/reference_text/1", "/pose/2"}
    nothing = client.post(SCORE, json={"pose": "!", "reference_text": "house", "on_error": "skip"}).json
    assert (nothing["pairs"], nothing["corpus"]) == ([None], None)


@pytest.mark.parametrize(
    ("references", "fragment"),
    [
        ({}, "reference_pose or reference_text is needed; neither was sent"),
        (
            {"reference_text": "a", "reference_pose": "x"},
            "reference_pose and reference_text were both sent; leave one out",
        ),
        ({"reference_text": ["a", "b", "c"]}, "3 references for 2 hypotheses"),
    ],
)
def test_references_must_fit(client, poses, references, fragment):
    answer = client.post(SCORE, json={"pose": poses, **references})
    assert (answer.status_code, answer.json["code"]) == (422, "input_invalid")
    assert fragment in answer.json["detail"]
