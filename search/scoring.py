"""Scores of queries against candidates, a tile at a time. The size of the tiles does not change a score."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
# Rows that are gathered or converted together; 8192 × 768 numbers of 8 bytes are 50 MB.
ROWS_AT_ONCE = 8192


class Scores(Protocol):
    """A matrix of scores, (queries, candidates), that need not exist as a whole."""

    shape: tuple[int, int]

    def compute_tile(self, rows: slice, columns: slice) -> Array:
        """Compute a part of the matrix, (rows, columns)."""
        ...

    def compute_pairs(self, rows: Ints, columns: Ints) -> Array:
        """Compute single entries.

        Args:
            rows, columns: int64 (pairs,), where the entries lie.
        Returns:
            (pairs,), equal to the numbers of a tile at these places.
        """
        ...


class Matrix:
    """Scores, (queries, candidates), that were computed before."""

    def __init__(self, scores: Array) -> None:
        self._scores = scores
        self.shape = (scores.shape[0], scores.shape[1])

    def compute_tile(self, rows: slice, columns: slice) -> Array:
        """Return a part of the matrix, (rows, columns)."""
        return self._scores[rows, columns]

    def compute_pairs(self, rows: Ints, columns: Ints) -> Array:
        """Return single entries, (pairs,), of the rows and columns given, int64 (pairs,)."""
        return self._scores[rows, columns]


class DotProducts:
    """Dot products of vectors in fixed point, without rounding errors.

    The last bits of an ordinary matrix product depend on the place of a row in its block. Equal clips would get unequal
    scores, and ranks would change with the size of the tiles. Here components are integers so small that float64 holds
    every product and every sum exactly, in any order.

    Args:
        queries: float (queries, embed_dim), finite.
        candidates: float (candidates, embed_dim), finite.
    Raises:
        ValueError: an array is not two-dimensional, embed_dim differs, or a component is NaN or infinite.
    """

    def __init__(self, queries: Array, candidates: Array) -> None:
        if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
            raise ValueError(f"vectors are {queries.shape} and {candidates.shape}; (rows, dim) of one dim are needed")
        self._queries, query_unit = round_to_fixed_point(queries)
        self._candidates, candidate_unit = round_to_fixed_point(candidates)
        self._unit = query_unit * candidate_unit
        self.shape = (len(queries), len(candidates))

    def compute_tile(self, rows: slice, columns: slice) -> Array:
        """Compute a part of the matrix, float64 (rows, columns)."""
        queries = self._queries[rows].astype(np.float64)
        # Exact, because the unit is a power of two.
        queries *= self._unit
        return queries @ self._candidates[columns].astype(np.float64).T

    def compute_pairs(self, rows: Ints, columns: Ints) -> Array:
        """Compute single entries, float64 (pairs,), of the rows and columns given, int64 (pairs,)."""
        scores = np.empty(len(rows))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            queries = self._queries[rows[part]].astype(np.float64)
            scores[part] = np.einsum("pd,pd->p", queries, self._candidates[columns[part]].astype(np.float64))
        return scores * self._unit


class WithinGroups:
    """Scores that let a query find the candidates of its own group alone: others score minus infinity.

    Args:
        scores: (queries, candidates), finite.
        query_groups: int (queries,).
        candidate_groups: int (candidates,).
    """

    def __init__(self, scores: Scores, query_groups: Ints, candidate_groups: Ints) -> None:
        self._scores = scores
        self._query_groups = query_groups
        self._candidate_groups = candidate_groups
        self.shape = scores.shape

    def compute_tile(self, rows: slice, columns: slice) -> Array:
        """Compute a part of the matrix, (rows, columns)."""
        same = self._query_groups[rows, None] == self._candidate_groups[columns]
        return np.where(same, self._scores.compute_tile(rows, columns), -np.inf)

    def compute_pairs(self, rows: Ints, columns: Ints) -> Array:
        """Compute single entries, (pairs,), of the rows and columns given, int64 (pairs,)."""
        same = self._query_groups[rows] == self._candidate_groups[columns]
        return np.where(same, self._scores.compute_pairs(rows, columns), -np.inf)


def round_to_fixed_point(vectors: Array) -> tuple[npt.NDArray[np.int32], float]:
    """Round components to integers whose dot products float64 holds exactly.

    Args:
        vectors: float (rows, dim), finite.
    Returns:
        int32 (rows, dim), at most 2^b in size, where dim · 2^2b is at most 2^53 (b is 21 for 768 dimensions), and the
        power of two that 1 stands for.
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
