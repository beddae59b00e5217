"""Scores of queries against candidates, a tile at a time, the same however the tiles are cut."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
ROWS_AT_ONCE = 8192
"""Rows gathered or converted together: 8192 × 768 numbers of 8 bytes are 50 MB."""


class Scores(Protocol):
    """A score matrix that need not exist as a whole."""

    shape: tuple[int, int]

    def compute_tile(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        """Part of the matrix, (rows, columns)."""
        ...

    def compute_pairs(self, rows: Ints, columns: Ints) -> npt.NDArray[Any]:
        """Single entries, (pairs,); equal to what a tile holds at those places."""
        ...


class Matrix:
    """Scores that somebody computed before; (queries, candidates)."""

    def __init__(self, scores: npt.NDArray[Any]) -> None:
        self._scores = scores
        self.shape = (scores.shape[0], scores.shape[1])

    def compute_tile(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        return self._scores[rows, columns]

    def compute_pairs(self, rows: Ints, columns: Ints) -> npt.NDArray[Any]:
        return self._scores[rows, columns]


class DotProducts:
    """Dot products of vectors in fixed point, without rounding errors.

    A matrix product's last bits depend on where in a block a row lies, so equal clips would get unequal scores, and
    ranks would change with the size of the chunks. Here components are integers so small that float64 holds every
    product and every sum exactly, in any order.

    Args:
        queries: float (queries, embed_dim), finite.
        candidates: float (candidates, embed_dim), finite.
    """

    def __init__(self, queries: npt.NDArray[Any], candidates: npt.NDArray[Any]) -> None:
        if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
            raise ValueError(f"vectors are {queries.shape} and {candidates.shape}; (rows, dim) of one dim are needed")
        self._queries, query_unit = round_to_fixed_point(queries)
        self._candidates, candidate_unit = round_to_fixed_point(candidates)
        self._unit = query_unit * candidate_unit
        self.shape = (len(queries), len(candidates))

    def compute_tile(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        queries = self._queries[rows].astype(np.float64)
        # The unit is a power of two, so this too is exact.
        queries *= self._unit
        return queries @ self._candidates[columns].astype(np.float64).T

    def compute_pairs(self, rows: Ints, columns: Ints) -> npt.NDArray[Any]:
        scores = np.empty(len(rows))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            queries = self._queries[rows[part]].astype(np.float64)
            scores[part] = np.einsum("pd,pd->p", queries, self._candidates[columns[part]].astype(np.float64))
        return scores * self._unit


def round_to_fixed_point(vectors: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int32], float]:
    """Round components to integers whose dot products float64 holds exactly.

    Args:
        vectors: float (rows, dim), finite.
    Returns:
        int32 (rows, dim), at most 2^b in size where dim · 2^2b = 2^53 (21 bits for 768 dimensions), and the power of
        two that one step stands for.
    Raises:
        ValueError: a component is NaN or infinite.
    """
    largest = max(float(vectors.max(initial=0)), -float(vectors.min(initial=0)))
    if not np.isfinite(largest):
        raise ValueError("vectors hold NaN or infinity; they cannot be ranked")
    bits = int((53 - np.log2(max(vectors.shape[1], 1))) // 2)
    unit = 2.0 ** (int(np.frexp(largest)[1]) - bits)
    numbers = np.empty(vectors.shape, dtype=np.int32)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        numbers[part] = np.rint(vectors[part].astype(np.float64) / unit)
    return numbers, unit
