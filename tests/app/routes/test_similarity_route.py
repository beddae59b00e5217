"""Scores over HTTP against the same scores computed here from raw vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.background import write_background

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


def test_a_clip_without_hands_is_refused_unless_it_is_allowed(client, handless_base64, pose_base64):
    answer = client.post(ROUTE, json={"text": ["house"], "pose": [pose_base64, handless_base64]})
    assert (answer.status_code, answer.json["code"]) == (422, "pose_no_hands")
    assert answer.json["errors"][0]["pointer"] == "/pose/1"
    assert "allow_no_hands" in answer.json["detail"]
    allowed = client.post(ROUTE, json={"text": ["house"], "pose": handless_base64, "allow_no_hands": True})
    assert allowed.status_code == 200
    assert any("no hand in any frame" in warning for warning in allowed.json["warnings"])


def test_a_skipped_item_is_null_and_changes_no_other_score(client, handless_base64, pose_base64):
    whole = client.post(ROUTE, json={"text": ["house", "sun"], "pose": [pose_base64]}).json
    texts = ["house", "x" * 11_000, "sun"]
    poses = [handless_base64, pose_base64, "!"]
    answer = client.post(ROUTE, json={"text": texts, "pose": poses, "on_error": "skip"}).json
    for name in ("cosine", "dot", "probabilities"):
        assert answer[name][0] is None
        assert answer[name][2] is None
        assert answer[name][1][1] is None
        np.testing.assert_allclose([answer[name][1][0], answer[name][1][2]], whole[name][0], rtol=1e-6)
    assert [(error["pointer"], error["code"]) for error in answer["errors"]] == [
        ("/text/1", "text_too_long"),
        ("/pose/0", "pose_no_hands"),
        ("/pose/2", "base64_invalid"),
    ]


def test_none_of_these_gets_its_probability_from_the_background(background_client, engine, background, pose_base64):
    body = {"text": ["house", "sun"], "pose": [pose_base64]}
    texts = np.stack([engine.vector_of("text", item) for item in _embed_items(background_client, engine, body)])
    found = background_client.post(ROUTE, json=body).json["none_of_these"]
    logits = background.clips.astype(float) @ texts.T
    together = np.sort(np.log(np.exp(logits).sum(axis=1)))
    none_logit = together[-10]  # of 200, 9 exceed it: (9 + 1) / (200 + 1) is under 5 %
    clip = engine.vector_of("pose", engine.requests[1].items[0])
    own = np.log(np.exp(clip.astype(float) @ texts.T).sum())
    assert found[0] == pytest.approx(1 / (1 + np.exp(own - none_logit)), rel=1e-5)


def _embed_items(client, engine, body):
    client.post(ROUTE, json=body)
    return next(request for request in engine.requests if request.tower == "text").items


def test_a_background_of_other_weights_is_not_used(background_client, background, tmp_path, pose_base64):
    write_background(tmp_path / "weights" / "tiny" / "tiny.null.safetensors", replace(background, digest="other"))
    answer = background_client.post(ROUTE, json={"text": ["house"], "pose": [pose_base64]})
    assert "none_of_these" not in answer.json


def test_a_damaged_background_is_named(background_client, tmp_path, pose_base64):
    (tmp_path / "weights" / "tiny" / "tiny.null.safetensors").write_bytes(b"damaged")
    answer = background_client.post(ROUTE, json={"text": ["house"], "pose": [pose_base64]})
    assert (answer.status_code, answer.json["code"]) == (503, "background_invalid")
    assert "calibrate" in answer.json["detail"]
