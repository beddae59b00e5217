"""Forwards of small batches as CUDA graphs: one launch instead of over a hundred, each size captured once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.backends.packed_towers import PackedTowers
from models.backends.shapes import (
    POSE_SPECIALS,
    Layout,
    Size,
    find_fitting_size,
    lay_out_clips,
    lay_out_texts,
    list_captured_sizes,
)


def make_sample_layout(towers: PackedTowers, tower: str, size: Size) -> Layout:
    """Make a batch that fits a size, of as many items of one length as possible."""
    rows = min(towers.longest[tower], size.rows)
    lengths = np.full(max(1, min(size.items, size.rows // rows)), rows)
    if tower == "text":
        return lay_out_texts(np.zeros(lengths.sum(), dtype=np.int32), lengths)
    return lay_out_clips(lengths - POSE_SPECIALS, sep_position=towers.sep_position)


@dataclass(frozen=True)
class CapturedForward:
    """A forward that reads and writes the same memory each time it is replayed."""

    size: Size
    graph: Any
    flat: Tensor
    frames: Tensor | None
    vectors: Tensor

    def replay(self, flat: Tensor, frames: Tensor | None, items: int) -> Tensor:
        """Run on a layout flattened to this size: float32 (items, embed_dim), overwritten by the next replay.

        Both the copies and the replay are on the current stream, so that one waits for the other.
        """
        self.flat.copy_(flat)
        if self.frames is not None and frames is not None:
            self.frames[: len(frames), : frames.shape[1]].copy_(frames)
        self.graph.replay()
        return self.vectors[:items]


class CapturedForwards:
    """The captured forwards of both towers.

    The largest is captured first, so that all use its memory. Another thread may use the device meanwhile.
    """

    def __init__(self, towers: PackedTowers) -> None:
        self._sizes = {tower: list_captured_sizes(tower) for tower in ("text", "pose")}
        pool = torch.cuda.graph_pool_handle()
        stream = torch.cuda.Stream(towers.device)  # type: ignore[no-untyped-call]
        self._forwards = {
            (tower, size): _capture(towers, tower, size, pool=pool, stream=stream)
            for tower, sizes in self._sizes.items()
            for size in reversed(sizes)
        }

    def find(self, tower: str, layout: Layout) -> CapturedForward | None:
        """Find the smallest forward that holds a batch; None if the batch is too large for all forwards."""
        size = find_fitting_size(self._sizes[tower], layout.rows, layout.items)
        return None if size is None else self._forwards[tower, size]

    def __len__(self) -> int:
        return len(self._forwards)


def _capture(towers: PackedTowers, tower: str, size: Size, *, pool: Any, stream: Any) -> CapturedForward:
    flat = torch.from_numpy(make_sample_layout(towers, tower, size).flatten(*size)).to(towers.device)
    frames = towers.make_frames(size.rows) if tower == "pose" else None
    longest = towers.longest[tower]
    stream.wait_stream(torch.cuda.current_stream(towers.device))
    with torch.cuda.stream(stream):
        towers.encode(flat, size, frames, longest=longest)  # kernels load and pick their algorithms outside the capture
    torch.cuda.current_stream(towers.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Only the work of this thread is captured, because other threads may allocate memory meanwhile.
    with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
        vectors = towers.encode(flat, size, frames, longest=longest)
    return CapturedForward(size, graph, flat, frames, vectors)
