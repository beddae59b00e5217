"""Retrieval between texts and clips, counted as the authors count.

Source: MMPT's metric classes in J22Melody/fairseq@a8199440; tests/golden/metrics.json holds their numbers.
"""

from collections.abc import Sequence

import numpy as np

from search.ranking import Ranking, rank
from search.scoring import Ints, Matrix

CUTOFFS = (1, 5, 10)


def text_to_pose(scores: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """Search clips by text; each label is asked once, with its first example's text.

    P@k is the mean share of a label's clips among its first k results. R@k is the number of all found clips over the
    number of all clips. Ranks are those of a label's first clip, from 1. Ties go to the lower index.

    Args:
        scores: (examples, examples), row = text of example i, column = clip j.
        labels: of each example.
    Returns:
        R@1, R@5, R@10, P@1, P@5, P@10, median_rank, mean_rank; shares in 0-1.
    """
    _check(scores, labels)
    label_ids, asked = number_labels(labels)
    ranking = rank(Matrix(scores[asked]), label_ids[asked], label_ids)
    return summarize_texts(ranking, label_ids[asked], label_ids)


def pose_to_text(scores: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """Name clips; the candidates are each label's first text.

    Args:
        scores: (examples, examples), row = text of example i, column = clip j.
        labels: of each example.
    Returns:
        R@1, R@5, R@10, median_rank, mean_rank of the right text; shares in 0-1. Ties go to the lower index.
    """
    _check(scores, labels)
    label_ids, candidates = number_labels(labels)
    return summarize_clips(rank(Matrix(scores[candidates].T), label_ids, label_ids[candidates]).ranks)


def summarize_texts(ranking: Ranking, text_labels: Ints, clip_labels: Ints) -> dict[str, float]:
    """Condense a search of clips by texts that differ from one another, as text_to_pose does.

    Args:
        ranking: of texts over clips.
        text_labels: int (texts,), without repetition; together they have all the clips.
        clip_labels: int (clips,).
    """
    hits = clip_labels[ranking.top] == text_labels[:, None]
    found = {k: int(hits[:, :k].sum()) for k in CUTOFFS}
    results = {f"R@{k}": found[k] / len(clip_labels) for k in CUTOFFS}
    results |= {f"P@{k}": found[k] / (len(text_labels) * k) for k in CUTOFFS}
    return results | _rank_summary(ranking.ranks)


def summarize_clips(ranks: Ints) -> dict[str, float]:
    """Condense the ranks of clips' texts, as pose_to_text does.

    Args:
        ranks: int (clips,), from 1.
    """
    return {f"R@{k}": int((ranks <= k).sum()) / len(ranks) for k in CUTOFFS} | _rank_summary(ranks)


def number_labels(labels: Sequence[str]) -> tuple[Ints, Ints]:
    """Turn labels into numbers.

    Returns:
        int64 (examples,), equal where labels are equal; int64 (labels,), the first example of each, in order.
    """
    # Through Python strings: NumPy's drop trailing NULs, so that different labels would become one.
    firsts: dict[str, int] = {}
    for example, label in enumerate(labels):
        firsts.setdefault(label, example)
    numbers = {label: number for number, label in enumerate(firsts)}
    return (
        np.fromiter((numbers[label] for label in labels), dtype=np.int64, count=len(labels)),
        np.fromiter(firsts.values(), dtype=np.int64, count=len(firsts)),
    )


def first_ranks(scores: np.ndarray, right: np.ndarray) -> Ints:
    """Rank each row's best right answer.

    Args:
        scores: (rows, candidates).
        right: bool of the same shape, at least one True a row.
    Returns:
        int (rows,), from 1; ties go to the lower index.
    """
    best = np.where(right, scores, -np.inf).argmax(axis=1)[:, None]
    value = np.take_along_axis(scores, best, axis=1)
    earlier = np.arange(scores.shape[1]) < best
    ranks: Ints = ((scores > value) | ((scores == value) & earlier)).sum(axis=1) + 1
    return ranks


def _rank_summary(ranks: Ints) -> dict[str, float]:
    return {"median_rank": float(np.median(ranks)), "mean_rank": float(np.mean(ranks))}


def _check(scores: np.ndarray, labels: Sequence[str]) -> None:
    if scores.shape != (len(labels), len(labels)):
        raise ValueError(f"scores are {scores.shape}, but there are {len(labels)} labels")
