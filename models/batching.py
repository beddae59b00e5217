"""Items of different lengths in batches: how to pad them, and how to choose them so that padding stays small."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", bound=np.generic)


def pad(
    items: Sequence[npt.NDArray[Any]], *, dtype: type[Number], longest: int | None = None
) -> tuple[npt.NDArray[Number], npt.NDArray[np.bool_]]:
    """Stack items of different lengths into one array, with zeros after the end of each.

    Args:
        items: (positions, …) each, tokens or frames first; at least one item, equal in all other dimensions.
        dtype: number format of the batch.
        longest: positions of the batch; None: those of the longest item.
    Returns:
        dtype (items, longest, …), and bool (items, longest), True where a position is real.
    Raises:
        ValueError: there are no items, or an item is longer than `longest` or of another shape than the first.
    """
    lengths = np.array([len(item) for item in items])
    mask = np.arange(lengths.max() if longest is None else longest) < lengths[:, None]  # (items, longest)
    padded = np.zeros((*mask.shape, *items[0].shape[1:]), dtype=dtype)
    # Row by row, because joining the items first takes half as long again (32 clips of 609 features).
    for row, item in zip(padded, items, strict=True):
        row[: len(item)] = item
    return padded, mask


def cut_into_items(arrays: Sequence[npt.NDArray[Any]], lengths: npt.NDArray[np.int64]) -> Sequence[npt.NDArray[Any]]:
    """Cut arrays that hold items one after another into the items.

    Args:
        arrays: (positions, …) each: one array for each item, or fewer arrays that hold several.
        lengths: int64 (items,), positions of each.
    Returns:
        One array (positions, …) for each item.
    """
    if len(arrays) == len(lengths) and all(map(int.__eq__, map(len, arrays), lengths.tolist())):
        return arrays
    items: list[npt.NDArray[Any]] = []
    left = iter(lengths.tolist())
    for array in arrays:
        start = 0
        while start < len(array):
            end = start + next(left)
            if end > len(array):  # an item goes on in the next array
                return np.split(np.concatenate(arrays), np.cumsum(lengths)[:-1])
            items.append(array[start:end])
            start = end
    return items


def split_by_length(lengths: npt.NDArray[np.int64], *, positions_at_once: int) -> Iterator[npt.NDArray[np.int64]]:
    """Divide items into batches of similar lengths, shortest first.

    Args:
        lengths: int64 (items,), positions of each.
        positions_at_once: padded positions of a batch; an item that is longer has a batch of its own.
    Yields:
        int64 (items of the batch,), their places in `lengths`; every item is in one batch.
    """
    order = np.argsort(lengths, kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > positions_at_once:
            yield order[start:end]
            start = end
