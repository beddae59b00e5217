"""A tiny model, its experiment and made-up pairs, for tests of training that need no data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.architecture import SignClip
from models.catalog import ModelConfig
from training.batches import PairBatch, ProcessShare
from training.experiment import Experiment, build_experiment
from training.sections.model import merge_settings

PAIRS = 8
VOCABULARY = 40
TOWER = {"layers": 1, "width": 16, "heads": 2, "inner": 32}
MODEL = {
    "feature_dim": 12,
    "embed_dim": 16,
    "max_frames": 10,
    "max_tokens": 12,
    "pose_tower": {**TOWER, "positions": 12},
    "text_tower": {**TOWER, "positions": 12, "vocab_size": VOCABULARY},
    "tokenizer": "tiny",
}


def tiny_run(folder: Path, **changes: Any) -> Experiment:
    """An experiment of 12 steps that writes into a folder; changes are laid over it, mappings merged."""
    values = {
        "name": "tiny-run",
        "output": str(folder / "tiny-run"),
        "model": MODEL,
        "data": {"kind": "clips", "train": [{"dataset": "manifest", "root": "nowhere"}]},
        "batch": {"size": PAIRS},
        "optimizer": {"learning_rate": 1e-2, "warmup": 2},
        "steps": 12,
    }
    return build_experiment(merge_settings(values, changes), where="test")


def tiny_model(config: ModelConfig) -> SignClip:
    """Seeded weights, wide enough that every part of the input moves the vectors."""
    module = SignClip(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2 + ("LayerNorm.weight" in name))
    return module


class PairBatches:
    """A BatchSource of noise: clip i of a step resembles text i by nothing, so only arithmetic is tested."""

    steps_per_epoch = 4

    def __init__(self, *, features: int = 12, share: ProcessShare | None = None, pairs: int = PAIRS) -> None:
        self._features, self._pairs = features, pairs
        self._mine = (share or ProcessShare()).find_rows(pairs)

    def __getitem__(self, step: int) -> PairBatch:
        rng = torch.Generator().manual_seed(1000 + step)
        frames = torch.randint(2, 10, (PAIRS,), generator=rng)
        tokens = torch.randint(3, 9, (PAIRS,), generator=rng)
        frame_mask = torch.arange(int(frames.max())) < frames[:, None]
        attention_mask = torch.arange(int(tokens.max())) < tokens[:, None]
        features = torch.randn(PAIRS, frame_mask.shape[1], self._features, generator=rng) * frame_mask[..., None]
        input_ids = torch.randint(4, VOCABULARY, attention_mask.shape, generator=rng) * attention_mask
        marks = torch.arange(PAIRS)[:, None]
        joint = PairBatch(features, frame_mask, input_ids, attention_mask, marks, joint_pairs=self._pairs)
        return joint.select(self._mine)

    def make_targets(self, marks: Tensor) -> None:
        """Each text is true of its own clip."""


class HeldPairs:
    """Batches to validate on: the first two are the same pairs, so texts have two clips, and the last is smaller."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> PairBatch:
        batch = PairBatches()[700 + index // 2]
        return batch if index < 2 else batch.select(slice(0, 3))
