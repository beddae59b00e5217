"""Checkpoints in the authors' layout at a hundredth of their size, and configurations to read them with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.catalog import ModelConfig
from tests import make_checkpoint

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
