"""Ranks candidates for queries, tile by tile, in memory that does not grow with queries × candidates."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from search.scoring import Array, Ints, Scores

# The largest k of the authors' R@k and P@k.
TOP = 10


@dataclass(frozen=True)
class TileSize:
    """How many queries and candidates are scored together; 1024 × 8192 scores take 64 MiB, and sorting them as much."""

    rows: int = 1024
    columns: int = 8192


@dataclass(frozen=True)
class Ranking:
    """What a search found. Of equal scores the lower index comes first.

    Attributes:
        ranks: int64 (queries,), rank of each query's first relevant candidate, from 1.
        relevant_scores: float64 (queries,), score of that candidate.
        top: int64 (queries, up to 10), indices of the best candidates, best first.
        top_scores: float64 (queries, up to 10), their scores.
        ties: int64 (queries,), how many candidates that are not relevant have exactly the score of that candidate.
            Where there are any, the order of the candidates decides the rank, and the scores do not.
    """

    ranks: Ints
    relevant_scores: Array
    top: Ints
    top_scores: Array
    ties: Ints


DEFAULT_TILE = TileSize()


def rank(scores: Scores, query_labels: Ints, candidate_labels: Ints, *, size: TileSize = DEFAULT_TILE) -> Ranking:
    """Rank all candidates for every query.

    Args:
        scores: (queries, candidates).
        query_labels: int (queries,).
        candidate_labels: int (candidates,). A candidate is relevant to the queries with its label.
        size: of tiles. It changes memory and time, but no result.
    Raises:
        ValueError: labels do not fit the scores, or a query has no relevant candidate.
    """
    if scores.shape != (len(query_labels), len(candidate_labels)):
        raise ValueError(
            f"scores are {scores.shape}; there are {len(query_labels)} queries and {len(candidate_labels)} candidates"
        )
    best_scores, best, equal_relevant = _find_best_relevant(scores, query_labels, candidate_labels, size.rows)
    count = min(TOP, len(candidate_labels))
    ranks = np.ones(len(query_labels), dtype=np.int64)
    top = np.zeros((len(query_labels), count), dtype=np.int64)
    top_scores = np.zeros((len(query_labels), count))
    ties = -equal_relevant
    for rows in _split(len(query_labels), size.rows):
        found, found_scores = np.zeros((len(best[rows]), 0), dtype=np.int64), np.zeros((len(best[rows]), 0))
        for columns in _split(len(candidate_labels), size.columns):
            tile = scores.compute_tile(rows, columns)
            ranks[rows] += _count_ahead(tile, columns.start, best_scores[rows, None], best[rows, None])
            ties[rows] += np.count_nonzero(tile == best_scores[rows, None], axis=1)
            here, here_scores = _find_top(tile)
            found, found_scores = _merge(found, found_scores, here + columns.start, here_scores)
        top[rows], top_scores[rows] = found, found_scores
    return Ranking(ranks, best_scores, top, top_scores, ties)


def _split(count: int, step: int) -> Iterator[slice]:
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _find_best_relevant(
    scores: Scores, query_labels: Ints, candidate_labels: Ints, rows_at_once: int
) -> tuple[Array, Ints, Ints]:
    # Score and index of each query's relevant candidate of the highest score, the first of several; and how many
    # relevant candidates have that score.
    by_label = np.argsort(candidate_labels, kind="stable")
    in_order = candidate_labels[by_label]
    begins, ends = np.searchsorted(in_order, query_labels), np.searchsorted(in_order, query_labels, side="right")
    if (begins == ends).any():
        raise ValueError(f"{int((begins == ends).sum())} of {len(query_labels)} queries have no relevant candidate")
    best_scores = np.empty(len(query_labels))
    best = np.empty(len(query_labels), dtype=np.int64)
    equal = np.empty(len(query_labels), dtype=np.int64)
    for rows in _split(len(query_labels), rows_at_once):
        counts = (ends - begins)[rows]
        starts = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) - np.repeat(starts - begins[rows], counts)
        columns = by_label[places]
        values = scores.compute_pairs(np.repeat(np.arange(rows.start, rows.stop), counts), columns)
        best_scores[rows] = np.maximum.reduceat(values, starts)
        is_best = values == np.repeat(best_scores[rows], counts)
        best[rows] = np.minimum.reduceat(np.where(is_best, columns, len(candidate_labels)), starts)
        equal[rows] = np.add.reduceat(is_best.astype(np.int64), starts)
    return best_scores, best, equal


def _count_ahead(tile: Array, first_column: int, scores: Array, columns: Ints) -> Ints:
    # How many candidates of a tile come before each query's relevant one.
    earlier = first_column + np.arange(tile.shape[1]) < columns
    ahead: Ints = np.count_nonzero((tile > scores) | ((tile == scores) & earlier), axis=1)
    return ahead


def _find_top(tile: Array) -> tuple[Ints, Array]:
    # The best columns of each row, in the order of columns. Of equal scores at the margin the first columns are taken.
    count = min(TOP, tile.shape[1])
    margin = np.partition(tile, tile.shape[1] - count, axis=1)[:, tile.shape[1] - count, None]
    above = tile > margin
    at_margin = tile == margin
    # Rows with more ties than places are rare, so only these are counted along the row.
    places = count - np.count_nonzero(above, axis=1)
    crowded = np.flatnonzero(np.count_nonzero(at_margin, axis=1) > places)
    at_margin[crowded] &= np.cumsum(at_margin[crowded], axis=1) <= places[crowded, None]
    columns = np.nonzero(above | at_margin)[1].reshape(len(tile), count)  # rows, count
    return columns, np.take_along_axis(tile, columns, axis=1)


def _merge(found: Ints, found_scores: Array, here: Ints, here_scores: Array) -> tuple[Ints, Array]:
    # A stable sort keeps equal scores in the order of their indices, because all of found comes before all of here.
    candidates = np.concatenate([found, here], axis=1)
    scores = np.concatenate([found_scores, here_scores], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)
