"""Checkpoints in the authors' layout at a hundredth of their size, and configurations to read them with."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

from models.catalog import ModelConfig
from models.checkpoints.folders import WeightsFolder
from tests import make_checkpoint
from tests.models.origins import FILE_ID, Origins, serve

SMALL = {
    "name": "small",
    "description": "",
    "licence": "",
    "source": "",
    "feature_dim": 63,
    "embed_dim": 32,
    "max_frames": 40,
    "max_tokens": 24,
    "pose_tower": {"layers": 1, "width": 32, "heads": 4, "inner": 64},
    "text_tower": {"layers": 2, "width": 32, "heads": 4, "inner": 64},
}
# Large enough for a file of several of gdown's chunks of half a megabyte, so that it can break in the middle.
SMALL_VOCABULARY = 12_000
Tensors = OrderedDict[str, torch.Tensor]


def small_config(**changes: object) -> ModelConfig:
    """A configuration 32 wide, that `small_tensors` of the same changes fit."""
    return ModelConfig.model_validate({**SMALL, **changes})


@pytest.fixture(scope="session")
def make_config() -> Callable[..., ModelConfig]:
    return small_config


@pytest.fixture(scope="session")
def make_tensors() -> Callable[..., Tensors]:
    """Draws the authors' tensors that fit a configuration, with a vocabulary of 120 words."""

    def make(config: ModelConfig, *, vocab_size: int = 120) -> Tensors:
        shapes = make_checkpoint.shapes(
            video_layers=config.pose_tower.layers,
            text_layers=config.text_tower.layers,
            features=config.feature_dim,
            projection=config.projection.startswith("linear"),
            convolutions=config.convolutions,
            width=config.embed_dim,
            inner=config.pose_tower.inner,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(make_checkpoint, "VOCABULARY", vocab_size)
            return OrderedDict((f"mmmodel.{name}", make_checkpoint.draw(name, shape)) for name, shape in shapes)

    return make


@pytest.fixture
def save_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Saves tensors as `checkpoint_best.pt` in the authors' layout, with whatever else stands beside them."""

    def save(tensors: object, folder: Path = tmp_path, **beside: object) -> Path:
        path = folder / "checkpoint_best.pt"
        torch.save({"args": None, "cfg": None, "model": tensors, "extra_state": {}, **beside}, path)
        return path

    return save


@pytest.fixture
def origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_weights: Path, make_tensors: Callable[..., Tensors]
) -> Iterator[Origins]:
    """Stand-ins for Drive and the hub that hold `small`'s checkpoint and its tokenizer `bert-small`."""
    buffer = io.BytesIO()
    torch.save({"cfg": None, "model": make_tensors(small_config(), vocab_size=SMALL_VOCABULARY)}, buffer)
    with serve(tmp_path, monkeypatch) as origins:
        origins.files = {FILE_ID: buffer.getvalue()}
        origins.repository = {
            "vocab.txt": (tiny_weights / "tiny" / "tokenizer" / "vocab.txt").read_bytes(),
            "tokenizer_config.json": b'{"do_lower_case": false}',
            "config.json": b'{"model_type": "bert"}',
            "model.safetensors": b"what nobody asks for",
        }
        yield origins


@pytest.fixture
def weights(tmp_path: Path) -> WeightsFolder:
    """A weights folder that knows `small`, a model on Drive, and holds nothing of it."""
    folder = tmp_path / "weights"
    (folder / "small").mkdir(parents=True)
    config = {
        **{key: value for key, value in SMALL.items() if key != "name"},
        "tokenizer": "bert-small",
        "download": {"drive_file": FILE_ID, "experiment": "runs/small"},
    }
    (folder / "small" / "config.yaml").write_text(yaml.safe_dump(config))
    return WeightsFolder(folder)
