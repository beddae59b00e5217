"""Metrics of retrieval between texts and clips, computed as the authors compute them.

Source: MMPT's metric classes in J22Melody/fairseq@a8199440; tests/golden/metrics.json holds their numbers.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from corpora.arrays import BoolArray, FloatArray, Int64Array
from evaluation.errors import ScoresError
from search.ranking import Ranking, rank
from search.scoring import Matrix

CUTOFFS = (1, 5, 10)


def measure_text_to_pose(scores: FloatArray, labels: Sequence[str]) -> dict[str, float]:
    """Search clips by text. Each label is one query, which uses the text of the label's first example.

    P@k is the mean share of a label's clips among its first k results. R@k is the number of all clips found over the
    number of all clips. Ranks are those of a label's first right clip, from 1. Of equal scores the lower index comes
    first.

    Args:
        scores: (examples, examples); row i is the text of example i, column j the clip of example j.
        labels: of each example.
    Returns:
        R@1, R@5, R@10, P@1, P@5, P@10, median_rank and mean_rank; shares from 0 to 1.
    Raises:
        ScoresError: the scores are not of this shape.
    """
    _check_shape(scores, labels)
    label_ids, queries = number_labels(labels)
    ranking = rank(Matrix(scores[queries]), label_ids[queries], label_ids)
    return summarize_texts(ranking, label_ids[queries], label_ids)


def measure_pose_to_text(scores: FloatArray, labels: Sequence[str]) -> dict[str, float]:
    """Search texts by clip. The candidates are the texts of each label's first example.

    Args:
        scores: (examples, examples); row i is the text of example i, column j the clip of example j.
        labels: of each example.
    Returns:
        R@1, R@5, R@10, median_rank and mean_rank of the right text; shares from 0 to 1. Of equal scores the lower
        index is first.
    Raises:
        ScoresError: the scores are not of this shape.
    """
    _check_shape(scores, labels)
    label_ids, candidates = number_labels(labels)
    return summarize_clips(rank(Matrix(scores[candidates].T), label_ids, label_ids[candidates]).ranks)


def summarize_texts(ranking: Ranking, text_labels: Int64Array, clip_labels: Int64Array) -> dict[str, float]:
    """Summarize a search of clips by different texts, as measure_text_to_pose does.

    Args:
        ranking: of texts over clips.
        text_labels: int64 (texts,), without repetition; together they cover all clips.
        clip_labels: int64 (clips,).
    """
    hits = clip_labels[ranking.top] == text_labels[:, None]
    found = {k: int(hits[:, :k].sum()) for k in CUTOFFS}
    metrics = {f"R@{k}": found[k] / len(clip_labels) for k in CUTOFFS}
    metrics |= {f"P@{k}": found[k] / (len(text_labels) * k) for k in CUTOFFS}
    return metrics | _summarize_ranks(ranking.ranks)


def summarize_clips(ranks: Int64Array) -> dict[str, float]:
    """Summarize the ranks of clips' right texts, as measure_pose_to_text does.

    Args:
        ranks: int64 (clips,), from 1.
    """
    return {f"R@{k}": int((ranks <= k).sum()) / len(ranks) for k in CUTOFFS} | _summarize_ranks(ranks)


def number_labels(labels: Sequence[Hashable]) -> tuple[Int64Array, Int64Array]:
    """Turn labels into numbers.

    Returns:
        int64 (examples,), equal for equal labels; int64 (labels,), the first example of each label, in order.
    """
    # As Python strings: NumPy's drop trailing NULs, so that different labels would become the same.
    firsts: dict[Hashable, int] = {}
    for example, label in enumerate(labels):
        firsts.setdefault(label, example)
    numbers = {label: number for number, label in enumerate(firsts)}
    return (
        np.fromiter((numbers[label] for label in labels), dtype=np.int64, count=len(labels)),
        np.fromiter(firsts.values(), dtype=np.int64, count=len(firsts)),
    )


def rank_first_right(scores: FloatArray, right: BoolArray) -> Int64Array:
    """Rank the best right answer of each row.

    Args:
        scores: (rows, candidates).
        right: bool (rows, candidates), at least one True a row.
    Returns:
        int64 (rows,), from 1. Of equal scores the lower index is first.
    """
    best = np.where(right, scores, -np.inf).argmax(axis=1)[:, None]
    value = np.take_along_axis(scores, best, axis=1)
    earlier = np.arange(scores.shape[1]) < best
    ranks: Int64Array = ((scores > value) | ((scores == value) & earlier)).sum(axis=1) + 1
    return ranks


def _summarize_ranks(ranks: Int64Array) -> dict[str, float]:
    return {"median_rank": float(np.median(ranks)), "mean_rank": float(np.mean(ranks))}


def _check_shape(scores: FloatArray, labels: Sequence[str]) -> None:
    if scores.shape != (len(labels), len(labels)):
        count = len(labels)
        raise ScoresError(f"scores are {scores.shape}, but {count} labels need scores of shape ({count}, {count})")
