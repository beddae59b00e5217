"""Batches whose clips and texts lie one after another. Nothing is stored, copied or computed for padding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from corpora.arrays import Float32Array, Int32Array, Int64Array
from models.architecture import PoseTower, TextTower
from training.batches import PairBatch
from training.packed_towers import pool_clips, pool_texts, reads_frames, unpack

# The largest number in float16. Coordinates of real signers are some shoulder widths; a broken pose may have any.
_LARGEST = 65504.0


@dataclass(frozen=True)
class PackedBatch(PairBatch):
    """Pairs whose clips and texts lie one after another.

    Attributes:
        pose_features: float32 or float16 (frames of all clips, features).
        frame_mask: bool (pairs, longest), True where a clip has a frame.
        input_ids: int64 (tokens of all texts,).
        attention_mask: bool (pairs, longest), True where a text has a token.
    """

    def pool_poses(self, tower: PoseTower) -> Tensor:
        """Run the pose tower on the clips: (pairs, width)."""
        if reads_frames(tower):
            counts, longest = self.frame_mask.sum(dim=1), self.frame_mask.shape[1]
            return pool_clips(tower, self.pose_features, counts, longest=longest)
        pooled: Tensor = tower(unpack(self.pose_features, self.frame_mask), self.frame_mask)
        return pooled

    def pool_texts(self, tower: TextTower) -> Tensor:
        """Run the text tower on the texts: (pairs, width)."""
        if self.input_ids.is_cuda:
            counts, longest = self.attention_mask.sum(dim=1), self.attention_mask.shape[1]
            return pool_texts(tower, self.input_ids, counts, longest=longest)
        padded = replace(self, input_ids=unpack(self.input_ids, self.attention_mask))
        return super(PackedBatch, padded).pool_texts(tower)

    def list_texts(self) -> list[list[int]]:
        """Return the tokens of each text."""
        counts = self.attention_mask.sum(dim=1).tolist()
        return [text.tolist() for text in torch.split(self.input_ids, counts)]

    def select(self, rows: slice) -> Self:
        """Return some of the pairs. Their clips and texts are views of this batch's."""
        frames, frame_mask = _select(self.frame_mask, rows)
        tokens, attention_mask = _select(self.attention_mask, rows)
        return replace(
            self,
            pose_features=self.pose_features[frames],
            frame_mask=frame_mask,
            input_ids=self.input_ids[tokens],
            attention_mask=attention_mask,
            marks=self.marks[rows],
        )


def _select(mask: Tensor, rows: slice) -> tuple[slice, Tensor]:
    # Where the rows of some items lie among those of all, and the mask of these items.
    counts = mask.sum(dim=1)
    ends = counts.cumsum(0)
    start = int(ends[rows.start - 1]) if rows.start else 0
    chosen = mask[rows, : int(counts[rows].max())]
    return slice(start, start + int(counts[rows].sum())), chosen


def pack_pairs(
    clips: list[Float32Array],
    texts: list[Int32Array],
    *,
    marks: Int64Array,
    dtype: torch.dtype = torch.float32,
    joint_pairs: int | None = None,
) -> PackedBatch:
    """Put pairs into one batch.

    Args:
        clips: float32 (frames, features) each. Arrays that may be written are of no use afterwards.
        texts: int32 (tokens,) each.
        marks: int64 (pairs, marks).
        dtype: of the clips in the batch; float16 halves what is copied to a device.
        joint_pairs: see PairBatch.
    Returns:
        The batch. In a loader's worker it lies in memory that the trainer's process shares, so it is not copied there.
    """
    frame_mask, attention_mask = _make_mask(clips), _make_mask(texts)
    features = _allocate(int(frame_mask.sum()), clips[0].shape[1], dtype=dtype)
    end = 0
    for clip in clips:
        start, end = end, end + len(clip)
        # PyTorch warns of arrays that it may not write, such as those of the cache.
        rows = torch.from_numpy(clip if clip.flags.writeable else clip.copy())
        features[start:end] = rows.clamp_(-_LARGEST, _LARGEST) if dtype == torch.float16 else rows
    input_ids = torch.cat([torch.from_numpy(text) for text in texts]).long()
    return PackedBatch(
        features, frame_mask, input_ids, attention_mask, torch.from_numpy(marks), joint_pairs=joint_pairs
    )


def _make_mask(items: list[Float32Array] | list[Int32Array]) -> Tensor:
    counts = torch.tensor([len(item) for item in items])
    return torch.arange(int(counts.max())) < counts[:, None]


def _allocate(*shape: int, dtype: torch.dtype) -> Tensor:
    # A worker's tensors are copied into shared memory when they are sent, unless they lie there already.
    empty = torch.empty(shape, dtype=dtype)
    if get_worker_info() is not None:
        empty.share_memory_()  # type: ignore[no-untyped-call]  # PyTorch declares no types here.
    return empty
