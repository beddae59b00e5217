"""Scores over HTTP against the same scores computed here from raw vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

ROUTE = "/api/similarity"


@pytest.fixture
def raw(client, golden_poses):
    """Raw vectors of texts and clips, as the embed routes give them."""

    def embed(kind: str, items: list[str]) -> np.ndarray:
        answer = client.post(f"/api/embed/{kind}", json={kind: items, "normalize": False})
        return np.array(answer.json["embeddings"], dtype=np.float64)

    return embed


def cosine(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return (rows @ columns.T) / np.linalg.norm(rows, axis=1)[:, None] / np.linalg.norm(columns, axis=1)


def test_clips_against_texts(client, raw, golden_poses):
    import base64

    poses = [base64.b64encode(golden_poses[name]).decode() for name in ("ase_A", "gsg_C")]
    texts = ["house", "sun", "police"]
    answer = client.post(ROUTE, json={"text": texts, "pose": poses}).json
    clips, words = raw("pose", poses), raw("text", texts)
    np.testing.assert_allclose(answer["dot"], clips @ words.T, rtol=1e-5)
    np.testing.assert_allclose(answer["cosine"], cosine(clips, words), atol=1e-6)
    powers = np.exp(clips @ words.T)
    np.testing.assert_allclose(answer["probabilities"], powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
    assert answer["rows"] == ["/pose/0", "/pose/1"]
    assert answer["columns"] == ["/text/0", "/text/1", "/text/2"]
    assert answer["model_name"] == "tiny"


@pytest.mark.parametrize("kind", ["text", "pose"])
def test_one_kind_is_compared_with_itself(client, raw, golden_poses, kind):
    import base64

    items = {
        "text": ["house", "sun"],
        "pose": [base64.b64encode(golden_poses[name]).decode() for name in ("ase_A", "gsg_C")],
    }[kind]
    answer = client.post(ROUTE, json={kind: items}).json
    vectors = raw(kind, items)
    np.testing.assert_allclose(answer["cosine"], cosine(vectors, vectors), atol=1e-6)
    np.testing.assert_allclose(answer["dot"], vectors @ vectors.T, rtol=1e-5, atol=1e-5)
    assert "probabilities" not in answer
    assert answer["rows"] == answer["columns"] == [f"/{kind}/0", f"/{kind}/1"]


def test_one_item_need_not_be_a_list(client, pose_base64):
    answer = client.post(ROUTE, json={"text": "house", "pose": pose_base64}).json
    assert (answer["rows"], answer["columns"]) == (["/pose"], ["/text"])
    assert answer["probabilities"] == [[1.0]]


def test_scores_too_large_for_exp_still_make_probabilities(client, engine, pose_base64):
    engine.vector = np.full(32, 100.0, np.float32)
    answer = client.post(ROUTE, json={"text": ["house", "sun"], "pose": pose_base64}).json
    np.testing.assert_allclose(answer["probabilities"], [[0.5, 0.5]])


def test_prompts_and_warnings_come_back(client, pose_base64):
    body = {"text": ["house"], "pose": pose_base64, "sign_language": "ise", "flip": "auto"}
    answer = client.post(ROUTE, json=body).json
    assert answer["prompts"] == ["<en> <ise> house"]
    assert len(answer["warnings"]) == 1


def test_a_bad_pose_costs_its_texts_no_forward(client, engine):
    assert client.post(ROUTE, json={"text": ["house"], "pose": ["!"]}).status_code == 422
    assert not engine.requests


@pytest.mark.parametrize("changes", [1, 9])
def test_texts_and_clips_are_compared_within_one_checkpoint(client, engine, pose_base64, changes):
    embed, left = engine.embed, [changes]

    def change_between(request, is_disconnected=None):
        result = embed(request, is_disconnected)
        digest = f"{left[0]:064d}"
        left[0] = max(0, left[0] - 1)
        return replace(result, digest=digest)

    engine.embed = change_between
    answer = client.post(ROUTE, json={"text": "house", "pose": pose_base64})
    if changes == 1:
        assert answer.status_code == 200
        assert len(engine.requests) == 4
    else:
        assert (answer.status_code, answer.json["code"]) == (503, "model_failed")
