"""The authors' numbers over HTTP: a full-size checkpoint in their layout, their texts and poses, raw vectors."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from app import create_app
from app.settings import ServiceSettings
from engine.settings import EngineSettings

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[2] / "golden"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The app over the default model, made by the recipe of the golden weights."""
    import torch

    from engine.local import LocalEngine
    from tests import make_checkpoint

    weights = tmp_path_factory.mktemp("golden-http")
    (weights / "default").mkdir()
    torch.save(make_checkpoint.build("signclip"), weights / "default" / "checkpoint_best.pt")
    shutil.copytree(GOLDEN / "tokenizer", weights / "tokenizers" / "bert-base-cased")
    # Without SIGNCLIP_DEFAULT_MODEL: `default` is the default where its weights are there.
    settings = EngineSettings(weights_dir=weights, device="cpu", backend="torch")
    engine = LocalEngine(settings)
    yield create_app(ServiceSettings(engine=settings), engine).test_client()
    engine.close()
    shutil.rmtree(weights)


@pytest.fixture(scope="module")
def golden() -> tuple[dict, dict[str, np.ndarray]]:
    with np.load(GOLDEN / "signclip.npz") as file:
        return json.loads((GOLDEN / "signclip.json").read_text(encoding="utf-8")), dict(file)


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference within a vector, as a share of its largest value; the worst vector counts."""
    assert got.shape == wanted.shape
    return float((np.abs(got - wanted).max(axis=-1) / np.abs(wanted).max(axis=-1)).max())


def test_texts(served, golden):
    asked, wanted = golden
    body = {"text": asked["texts"], "normalize": False, "truncate": True}  # the last one is longer than 61 pieces
    answer = served.post("/api/embed/text", json=body).json
    assert answer["model_name"] == "default"
    assert error(np.array(answer["embeddings"], np.float32), wanted["texts"]) <= TOLERANCE


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_poses_as_the_original_clients_send_them(served, golden, golden_poses, method):
    asked, wanted = golden
    clips = [base64.b64encode(golden_poses[name]).decode() for name in asked["poses"]]
    answer = served.open("/api/embed/pose", method=method, json={"pose": clips, "normalize": False}).json
    expected = np.stack([wanted[f"pose/{name}"] for name in asked["poses"]])
    assert error(np.array(answer["embeddings"], np.float32), expected) <= TOLERANCE


def test_scores(served, golden, golden_poses):
    asked, wanted = golden
    clips = [base64.b64encode(golden_poses[name]).decode() for name in asked["poses"]]
    answer = served.post("/api/similarity", json={"text": asked["texts"], "pose": clips, "truncate": True}).json
    assert error(np.array(answer["dot"]), wanted["dot"]) <= TOLERANCE
