"""What a step learns from, and where steps get it: the one seam between data and the training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Pairs of a clip and its text; row i of everything belongs to pair i.

    Attributes:
        pose_features: float32 (pairs, frames, features), padded at the end.
        frame_mask: bool (pairs, frames), True where a frame is real.
        input_ids: int64 (pairs, tokens), [CLS] pieces… [SEP], padded at the end.
        attention_mask: bool (pairs, tokens), True where a token is real.
        marks: int64 (pairs, marks), what `BatchSource.targets` needs to know of a pair; gathered from all processes.
        described: whether pose_features are already models.hand_geometry's description of moments, as where clips
            change between being read and being described; otherwise they are what the service reads. Of several
            readings a clip they are float32 (pairs, crops, moments, features), and frame_mask counts moments.
    """

    pose_features: Tensor
    frame_mask: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    marks: Tensor
    described: bool = False

    def __len__(self) -> int:
        return len(self.marks)

    def rows(self, chosen: slice) -> Batch:
        """Some of the pairs, their padding cut to the longest left."""
        frame_mask, attention_mask = self.frame_mask[chosen], self.attention_mask[chosen]
        frames, tokens = int(frame_mask.sum(dim=1).max()), int(attention_mask.sum(dim=1).max())
        poses = self.pose_features[chosen]
        return Batch(
            poses[:, :frames] if poses.ndim == 3 else poses,
            frame_mask[:, :frames],
            self.input_ids[chosen, :tokens],
            attention_mask[:, :tokens],
            self.marks[chosen],
            self.described,
        )

    def to(self, device: torch.device) -> Batch:
        """The same on a device; from pinned memory without waiting for it."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU copies from on its own; DataLoader calls it."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tensors = (self.pose_features, self.frame_mask, self.input_ids, self.attention_mask, self.marks)
        return Batch(*map(change, tensors), described=self.described)


class BatchSource(Protocol):
    """Batches by the number of the step that learns from them.

    A step's batch follows from the run's seed and the step's number alone: what happened before, in which process or
    worker it is made, and whether the run was interrupted make no difference. Of several processes each makes its own
    rows of the joint batch.
    """

    @property
    def steps_per_epoch(self) -> int:
        """How many steps show every pair about once."""
        ...

    def __getitem__(self, step: int) -> Batch:
        """Make this process's rows of one step's batch; step counts from 0 and never ends."""
        ...

    def targets(self, marks: Tensor) -> Tensor | None:
        """Say how much of each text is true of each clip.

        Args:
            marks: int64 (pairs, marks), of the joint batch.
        Returns:
            float32 (texts, clips), not negative; None where each text is true of its own clip only.
        """
        ...


class ValidationBatches(Protocol):
    """All pairs to validate on, each once and as it is, in an order that never changes."""

    def __len__(self) -> int:
        """How many batches there are."""
        ...

    def __getitem__(self, index: int) -> Batch:
        """Make one batch; the last one may be smaller."""
        ...
