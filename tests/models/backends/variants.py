"""Small models of every variant, and batches for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.architecture import SignClip
from models.catalog import ModelConfig
from models.checkpoints.loading import write_safetensors
from tests.models.conftest import small_config

VOCABULARY = 120
VARIANTS: dict[str, dict[str, object]] = {
    "plain": {},
    "projection": {"projection": "linear"},
    "projection_l2": {"projection": "linear_l2", "logit_scale": 9.0},
    "l2": {"projection": "l2"},
    "one convolution": {"convolutions": 1, "max_frames": 40},
    "three convolutions": {"convolutions": 3, "max_frames": 40},
    "long positions": {"max_frames": 600},
    "unlike towers": {"pose_tower": {"layers": 3, "width": 32, "heads": 2, "inner": 48}},
}


def write_model(folder: Path, variant: str) -> tuple[Path, ModelConfig]:
    """A safetensors file of random weights, and its configuration."""
    config = small_config(**VARIANTS[variant])
    generator = torch.Generator().manual_seed(0)
    tensors = {
        # Far wider than a fresh BERT's 0.02: every part of the input then moves the vector measurably.
        name: torch.randn(tensor.shape, generator=generator) * 0.2 + ("LayerNorm.weight" in name)
        for name, tensor in SignClip(config, vocab_size=VOCABULARY).state_dict().items()
    }
    if config.interpolates_positions:
        name = "pose_tower.bert.embeddings.position_embeddings.weight"
        tensors[name] = tensors[name][: config.pose_tower.positions].clone()
    path = folder / "model.safetensors"
    write_safetensors(path, tensors, {})
    return path, config


def draw_items(config: ModelConfig, tower: str, lengths: Sequence[int], *, seed: int = 0) -> list[npt.NDArray[Any]]:
    """Random texts or clips of given lengths, in tokens or frames."""
    generator = np.random.default_rng(seed)
    if tower == "text":
        return [generator.integers(0, VOCABULARY, length).astype(np.int32) for length in lengths]
    return [generator.standard_normal((length, config.feature_dim), dtype=np.float32) for length in lengths]


def error(got: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """Largest difference as a share of a vector's largest value; the worst vector counts."""
    assert got.shape == wanted.shape
    return float((np.abs(got - wanted).max(axis=-1) / np.abs(wanted).max(axis=-1)).max())
