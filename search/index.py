"""Finds the vectors nearest to a query: exactly, and with ties in the order of ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from search.entries import Vector
from search.interface import Vectors
from search.vectors import scale_to_unit

Scores = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# A product of matrices in float32 is off by at most (dim + 1) · 2^-24 for vectors of length 1 (Higham, Accuracy and
# Stability of Numerical Algorithms, 3.5). Both of two compared scores may be off, which makes twice that.
_FLOAT32_UNIT = 2.0**-24
# Where a filter keeps a smaller share of the rows, copying them costs less than scoring all (20,000 rows, 768 numbers).
_COPY_BELOW = 0.25
# Rows whose scores are computed in float64 together; 4096 × 768 numbers take 25 MB.
_ROWS_AT_ONCE = 4096
# Rows that are fetched for each group at first, because a group usually has several near the query, and at most.
_ROWS_OF_GROUP = 4
_MOST_ROWS = 4096


@dataclass(frozen=True)
class Block:
    """Some vectors of a collection.

    Attributes:
        vectors: float32 (rows, dim), of length 1.
        ids: id of each row.
        mask: bool (rows,), True where a row may be found; None: everywhere.
    """

    vectors: Vectors
    ids: Callable[[Rows], Sequence[str]]
    mask: Mask | None = None


@dataclass(frozen=True)
class Found:
    """Rows that a search found, best first; of equal scores the lower id comes first.

    Attributes:
        blocks: int64 (found,), the block of each row.
        rows: int64 (found,), its row in the block.
        ids: its id.
        scores: float64 (found,), its cosine.
    """

    blocks: Rows
    rows: Rows
    ids: tuple[str, ...]
    scores: Scores


def compute_scores(vectors: Vectors, query: Vector) -> Scores:
    """Compute cosines in float64. Equal vectors get equal scores, wherever they stand.

    Args:
        vectors: float32 (rows, dim), of length 1.
        query: float (dim,), of any length but 0.
    Returns:
        float64 (rows,).
    """
    direction = query.astype(np.float64)
    direction /= np.linalg.norm(direction)
    scores = np.empty(len(vectors))
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        # Each row is summed by itself, in one order. A product of matrices would sum rows differently by their place.
        scores[part] = (vectors[part] * direction).sum(axis=1)
    return scores


def find_top(blocks: Sequence[Block], query: Vector, k: int) -> Found:
    """Find the k rows with the highest cosine.

    Args:
        query: float32 (dim,), of any length but 0.
    """
    direction = scale_to_unit(query)
    estimates = [_estimate(block, direction) for block in blocks]
    together = np.concatenate([values for _, values in estimates]) if estimates else np.zeros(0, np.float32)
    count = min(k, len(together))
    if count == 0:
        return Found(np.zeros(0, np.int64), np.zeros(0, np.int64), (), np.zeros(0))
    margin = np.partition(together, len(together) - count)[len(together) - count]
    least = float(margin) - 2 * (len(query) + 1) * _FLOAT32_UNIT
    found = [(number, rows[values >= least]) for number, (rows, values) in enumerate(estimates)]
    numbers = np.concatenate([np.full(len(rows), number, np.int64) for number, rows in found])
    scores = np.concatenate([compute_scores(blocks[number].vectors[rows], query) for number, rows in found])
    ids = [entry_id for number, rows in found for entry_id in blocks[number].ids(rows)]
    order = order_by_score(scores, ids)[:count]
    rows = np.concatenate([rows for _, rows in found])
    return Found(numbers[order], rows[order], tuple(ids[place] for place in order), scores[order])


def order_by_score(scores: Scores, ids: Sequence[str]) -> Rows:
    """Order rows by falling score, and rows of equal scores by id.

    Args:
        scores: float64 (rows,).
    Returns:
        int64 (rows,).
    """
    return np.array(sorted(range(len(ids)), key=lambda row: (-scores[row], ids[row])), dtype=np.int64)


class Grouped(Protocol):
    """A row that belongs to a group."""

    @property
    def id(self) -> str:
        """Id of the row."""
        ...

    @property
    def group(self) -> str:
        """Name of its group; "" is no group, and each such row stands for itself."""
        ...

    @property
    def score(self) -> float:
        """Its cosine with the query."""
        ...


Row = TypeVar("Row", bound=Grouped)


def find_best_of_groups(find: Callable[[int, tuple[str, ...]], Sequence[Row]], k: int) -> list[Row]:
    """Find the best row of each of the k best groups, best first.

    Args:
        find: returns the best so many rows that belong to none of some groups, best first; fewer where there are no
            more.
    """
    best: dict[tuple[str, str], Row] = {}
    wanted = _ROWS_OF_GROUP * k
    while True:
        rows = find(wanted, tuple(group for group, _ in best if group))
        for row in rows:
            best.setdefault((row.group, "" if row.group else row.id), row)
        if len(best) >= k or len(rows) < wanted:
            # An index may show in a later round what it missed in an earlier one.
            return sorted(best.values(), key=lambda row: (-row.score, row.id))[:k]
        wanted = min(4 * wanted, _MOST_ROWS)


def _estimate(block: Block, direction: Vector) -> tuple[Rows, Vectors]:
    """Compute the cosines of a block's rows in float32.

    Returns:
        The rows that may be found, int64 (found,), and their cosines, float32 (found,).
    """
    if block.mask is None:
        return np.arange(len(block.vectors)), block.vectors @ direction
    rows = np.flatnonzero(block.mask)
    if len(rows) < _COPY_BELOW * len(block.vectors):
        return rows, block.vectors[rows] @ direction
    return rows, (block.vectors @ direction)[rows]
