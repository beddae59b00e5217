"""Batches of pairs, and where the training loop gets them: the only connection between data and trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from models.architecture import PoseTower, TextTower


@dataclass(frozen=True)
class ProcessShare:
    """The rows of a joint batch that one of several processes makes.

    Attributes:
        index: of the process, from 0.
        count: of all processes.
    """

    index: int = 0
    count: int = 1

    def find_rows(self, pairs: int) -> slice:
        """Find this process's rows of a joint batch; the shares of all processes cover the batch, in order."""
        return slice(self.index * pairs // self.count, (self.index + 1) * pairs // self.count)

    @classmethod
    def count_rows(cls, pairs: int, processes: int) -> list[int]:
        """Count the rows of each process; they differ by one at most."""
        shares = (cls(index, processes).find_rows(pairs) for index in range(processes))
        return [share.stop - share.start for share in shares]


@dataclass(frozen=True)
class PairBatch:
    """Pairs of a clip and its text. Row i of every tensor belongs to pair i.

    Attributes:
        pose_features: float32 (pairs, frames, features), padded at the end.
        frame_mask: bool (pairs, frames), True where a frame is real.
        input_ids: int64 (pairs, tokens), [CLS] pieces… [SEP], padded at the end.
        attention_mask: bool (pairs, tokens), True where a token is real.
        marks: int64 (pairs, marks), what `BatchSource.make_targets` needs to know of each pair. Marks are gathered
            from all processes.
        joint_pairs: pairs of the joint batch, which ProcessShare divides; None: every process has as many as this one.
    """

    pose_features: Tensor
    frame_mask: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    marks: Tensor
    joint_pairs: int | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.marks)

    def pool_poses(self, tower: PoseTower) -> Tensor:
        """Run the pose tower on the clips: (pairs, width). Batches of clips in another form override this."""
        pooled: Tensor = tower(self.pose_features, self.frame_mask)
        return pooled

    def pool_texts(self, tower: TextTower) -> Tensor:
        """Run the text tower on the texts: (pairs, width)."""
        if self.input_ids.is_cuda:
            pooled: Tensor = tower(self.input_ids, self.attention_mask)
            return pooled
        # A CPU needs as much time for padding as for words, so texts of equal length run together.
        lengths = self.attention_mask.sum(dim=1)
        order = lengths.argsort(stable=True)
        _, counts = torch.unique(lengths, return_counts=True)
        parts, start = [], 0
        for count in counts.tolist():
            rows = order[start : start + count]
            longest = int(lengths[rows[0]])
            parts.append(tower(self.input_ids[rows, :longest], self.attention_mask[rows, :longest]))
            start += count
        return torch.cat(parts)[order.argsort()]

    def list_texts(self) -> list[list[int]]:
        """Return the tokens of each text, without padding."""
        lengths = self.attention_mask.sum(dim=1).tolist()
        return [row[:length] for row, length in zip(self.input_ids.tolist(), lengths, strict=True)]

    def select(self, rows: slice) -> Self:
        """Return some of the pairs, with padding only up to the longest of them."""
        frame_mask, attention_mask = self.frame_mask[rows], self.attention_mask[rows]
        frames, tokens = int(frame_mask.sum(dim=1).max()), int(attention_mask.sum(dim=1).max())
        return replace(
            self,
            pose_features=self._cut_frames(self.pose_features[rows], frames),
            frame_mask=frame_mask[:, :frames],
            input_ids=self.input_ids[rows, :tokens],
            attention_mask=attention_mask[:, :tokens],
            marks=self.marks[rows],
        )

    def _cut_frames(self, pose_features: Tensor, frames: int) -> Tensor:
        return pose_features[:, :frames]

    def to(self, device: torch.device) -> Self:
        """Return the same batch on a device. From pinned memory the copy runs in the background."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """Return the same batch in memory that a GPU can copy from by itself. DataLoader calls this."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        changed: dict[str, Any] = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)


class BatchSource(Protocol):
    """Batches by the number of the step that learns from them.

    A step's batch follows from the run's seed and the step's number alone. Earlier steps, the process or worker that
    makes the batch, and interruptions of the run make no difference. Each of several processes makes its own rows of
    the joint batch.
    """

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps that show every pair about once."""
        ...

    def __getitem__(self, step: int) -> PairBatch:
        """Make this process's rows of one step's batch; steps count from 0 and have no end."""
        ...

    def make_targets(self, marks: Tensor) -> Tensor | None:
        """Make the target of each text and clip, which is larger the more the text is true of the clip.

        Args:
            marks: int64 (pairs, marks), of the joint batch.
        Returns:
            float32 (texts, clips), not negative; None: each text is true of its own clip only.
        """
        ...


class ValidationBatches(Protocol):
    """All pairs to validate on, each once and unchanged, in an order that is always the same."""

    def __len__(self) -> int:
        """Return the number of batches."""
        ...

    def __getitem__(self, index: int) -> PairBatch:
        """Make one batch; the last one may be smaller."""
        ...
