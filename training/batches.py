"""What a step learns from, and where steps get it: the one seam between data and the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
    """

    pose_features: Tensor
    frame_mask: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    marks: Tensor

    def __len__(self) -> int:
        return len(self.marks)


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
