"""Layouts: how the positions of items of different lengths lie in one matrix, without padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
# Rows of the pose tower's table before the first frame: [CLS] and [SEP], which every clip has.
POSE_SPECIALS = 2


class Places(NamedTuple):
    """A layout as four int32 parts of one array, on the host or on a device; see Layout."""

    sources: Any
    position_ids: Any
    offsets: Any
    bounds: Any


@dataclass(frozen=True)
class Layout:
    """Where the positions of a batch stand in one matrix, item after item.

    Attributes:
        sources: int32 (rows,), what stands at each position: a row of the tower's table.
        position_ids: int32 (rows,), rows of the tower's position table.
        offsets: int32 (items + 1,), first row of each item, then the end of the last.
        longest: rows of the longest item.
    """

    sources: Ints
    position_ids: Ints
    offsets: Ints
    longest: int

    @property
    def rows(self) -> int:
        """How many positions all items have together."""
        return len(self.sources)

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.offsets) - 1

    def flatten(self, rows: int, items: int) -> Ints:
        """Put the layout into one array, so that one copy takes it to a device.

        Args:
            rows, items: at least those of this layout. Further rows belong to no item, and further items are empty.
        Returns:
            int32 (count_flat_numbers(rows, items),), as `split` reads it.
        """
        flat = np.zeros(count_flat_numbers(rows, items), dtype=np.int32)
        places = split(flat, rows, items)
        places.sources[: self.rows] = self.sources
        places.position_ids[: self.rows] = self.position_ids
        places.offsets[: self.items] = self.offsets[:-1]
        places.offsets[self.items :] = self.rows
        # Where the mean of each item begins and ends: behind its first row, [CLS], which counts in no mean.
        places.bounds[0::2] = places.offsets
        places.bounds[1::2] = np.minimum(places.offsets[:-1] + 1, self.rows)
        return flat


def count_flat_numbers(rows: int, items: int) -> int:
    """Count the numbers in the array that `Layout.flatten` makes."""
    return 2 * rows + 3 * items + 2


def split(flat: Any, rows: int, items: int) -> Places:
    """Take the parts of a flattened layout, array or tensor; they share its memory."""
    ends = np.cumsum([rows, rows, items + 1, 2 * items + 1])
    return Places(*(flat[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)))


def lay_out_texts(input_ids: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> Layout:
    """Lay out texts.

    Args:
        input_ids: int (tokens of all texts,), [CLS] pieces… [SEP] of each, one text after another.
        lengths: int (texts,), tokens of each.
    """
    offsets = _compute_offsets(lengths)
    position_ids = np.arange(offsets[-1], dtype=np.int32) - np.repeat(offsets[:-1], lengths)
    return Layout(input_ids.astype(np.int32, copy=False), position_ids, offsets, int(lengths.max()))


def lay_out_clips(frame_counts: npt.NDArray[Any], *, sep_position: int) -> Layout:
    """Lay out clips as [CLS] [SEP] frames…. Attention has no order, and this way a mean leaves out one row, the first.

    Args:
        frame_counts: int (clips,), frames of each, at least one.
        sep_position: the position id of [SEP], the same however short a clip is.
    """
    lengths = frame_counts + POSE_SPECIALS
    offsets = _compute_offsets(lengths)
    starts = offsets[:-1]
    order = np.arange(offsets[-1], dtype=np.int32) - np.repeat(starts, lengths)  # 0, 1, 2 … within each clip
    # The table's first rows are [CLS] and [SEP]; behind them stand the frames of all clips.
    sources = np.arange(offsets[-1], dtype=np.int32)
    sources -= np.repeat(np.arange(len(lengths), dtype=np.int32) * POSE_SPECIALS, lengths)
    position_ids = order - 1
    sources[starts], sources[starts + 1] = 0, 1
    position_ids[starts], position_ids[starts + 1] = 0, sep_position
    return Layout(sources, position_ids, offsets, int(lengths.max()))


def _compute_offsets(lengths: npt.NDArray[Any]) -> Ints:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


class Size(NamedTuple):
    """What one captured forward holds."""

    rows: int
    items: int


# Rows of captured forwards. Up to about 8192 the launches of single kernels, 2.3 to 4.5 ms, take longer than their
# work does (one H200, float16). Steps of a third to a half keep what is computed on unused rows below that.
_CAPTURED_ROWS = (32, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
# Rows for each item that a captured forward has room for: texts of four word pieces, clips of 14 frames.
_ROWS_AN_ITEM = {"text": 4, "pose": 16}


def list_captured_sizes(tower: str) -> list[Size]:
    """List the sizes of forwards that are worth capturing, smallest first."""
    return [Size(rows, rows // _ROWS_AN_ITEM[tower]) for rows in _CAPTURED_ROWS]


def find_fitting_size(sizes: Sequence[Size], rows: int, items: int) -> Size | None:
    """Find the smallest size that holds a batch; None if the batch is too large for all sizes."""
    return next((size for size in sizes if rows <= size.rows and items <= size.items), None)
