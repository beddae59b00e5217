"""The model that ships with the project, over HTTP: a real clip, real texts, a right answer."""

from __future__ import annotations

import base64
import string

import numpy as np
import pytest

from app import create_app
from app.settings import ServiceSettings
from engine.settings import EngineSettings
from models.checkpoints.folders import ROOT
from poses import cut_frames, read
from tests.poses.make_poses import write_pose
from training.fingerspelling.webcam import add_lowered_hands


@pytest.fixture(scope="module")
def shipped():
    """An app as a fresh checkout serves it."""
    if not (ROOT / "weights" / "fingerspelling" / "model.safetensors").is_file():
        pytest.fail("weights/fingerspelling/model.safetensors is part of the project and is not there")
    from engine.local import LocalEngine

    settings = EngineSettings(device="cpu", backend="torch", threads=1, default_model="fingerspelling")
    engine = LocalEngine(settings)
    yield create_app(ServiceSettings(engine=settings), engine).test_client()
    engine.close()


def test_the_letter_a_ranks_above_the_other_letters(shipped, golden_poses):
    """The clip is the ASL letter A of the lexicon; the prompts are those of training, `<en> <ase> A`."""
    letters = list(string.ascii_uppercase)
    clip = shipped.post(
        "/api/embed/pose", data=golden_poses["ase_A"], headers={"Content-Type": "application/octet-stream"}
    ).json
    texts = shipped.post("/api/embed/text", json={"text": letters, "sign_language": "ase"}).json
    assert texts["prompts"][0] == "<en> <ase> A"
    assert texts["signature"] == clip["signature"]
    assert clip["model_name"] == "fingerspelling"
    scores = np.array(texts["embeddings"]) @ np.array(clip["embeddings"][0])
    assert letters[int(scores.argmax())] == "A"


def test_the_model_trims_what_comes_before_and_after_a_letter(shipped, golden_poses):
    """A hand that hangs for two seconds at either end: without trimming, this A would be none of the letters."""
    clip = read(golden_poses["ase_A"])
    waiting = add_lowered_hands(clip, 2.0)
    sent = [base64.b64encode(write_pose(pose)).decode() for pose in (clip, waiting)]
    both = shipped.post("/api/embed/pose", json={"pose": sent}).json
    start, end = both["trimmed"][1]
    assert both["trimmed"][0] == [0, len(clip.body.data)]
    assert 35 < start < 50 < 50 + len(clip.body.data) < end < 65 + len(clip.body.data)
    by_hand = base64.b64encode(write_pose(cut_frames(waiting, start, end))).decode()
    for body in ({"pose": by_hand, "trim": "none"}, {"pose": sent[1]}):
        alone = shipped.post("/api/embed/pose", json=body).json
        np.testing.assert_allclose(alone["embeddings"][0], both["embeddings"][1], atol=1e-6)
    letters = list(string.ascii_uppercase)
    body = {"text": letters, "pose": sent[1], "sign_language": "ase"}
    trimmed, whole = (shipped.post("/api/similarity", json={**body, "trim": trim}).json for trim in ("auto", "none"))
    assert letters[int(np.argmax(trimmed["cosine"][0]))] == "A"
    assert trimmed["none_of_these"][0] < 0.05 < 0.5 < whole["none_of_these"][0]


def test_similarity_says_the_same(shipped, pose_base64):
    body = {"text": ["B", "A", "C"], "pose": pose_base64, "sign_language": "asl"}
    answer = shipped.post("/api/similarity", json=body).json
    for kind in ("cosine", "dot", "probabilities"):
        assert int(np.argmax(answer[kind][0])) == 1
    assert sum(answer["probabilities"][0]) == pytest.approx(1)


def test_a_letter_is_a_letter_and_a_hand_at_rest_is_none(shipped, golden_poses):
    """The model's background ships with it, so nothing has to be calibrated first."""
    clip = read(golden_poses["ase_A"])
    resting = cut_frames(add_lowered_hands(clip, 2.0), 0, 25)
    poses = [base64.b64encode(write_pose(pose)).decode() for pose in (clip, resting)]
    letters = list(string.ascii_uppercase)
    found = shipped.post("/api/similarity", json={"text": letters, "pose": poses, "sign_language": "ase"}).json
    assert found["none_of_these"][0] < 0.05
    assert found["none_of_these"][1] > 0.5
    named = shipped.post("/api/classify", json={"labels": letters, "pose": poses, "sign_language": "ase"}).json
    assert [result["rejected"] for result in named["results"]] == [False, True]
    assert named["results"][0]["label"] == "A"


def test_a_search_for_a_sign_needs_no_threshold(shipped, golden_poses):
    headers = {"Content-Type": "application/octet-stream"}
    where = {"query": "A", "sign_language": "ase"}
    answer = shipped.post("/api/spot", data=golden_poses["ase_A"], headers=headers, query_string=where).json
    assert answer["measure"] == "z"
    assert [find["label"] for find in answer["found"]] == ["A"]


def test_models_without_weights_say_how_to_get_them(shipped):
    answer = shipped.post("/api/embed/text", json={"text": "house", "model_name": "default"})
    if answer.status_code != 200:  # unless someone has fetched them
        assert answer.status_code == 503
        assert "python -m models download" in answer.json["detail"]
