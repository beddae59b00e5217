"""Retrieval between texts and clips, counted as the authors count.

Source: MMPT's metric classes in J22Melody/fairseq@a8199440; tests/golden/metrics.json holds their numbers.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

CUTOFFS = (1, 5, 10)
ROWS_AT_ONCE = 1024
"""Rows ranked together: 1024 × 100,000 scores and their order take about 1.2 GB."""

ScoreRows = Callable[[int, int], np.ndarray]
"""Gives rows start to end of a score matrix, so that the whole never needs to exist."""


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
    label_ids, asked = _number(labels)
    return rank_texts(lambda start, end: scores[asked[start:end]], label_ids[asked], label_ids)


def pose_to_text(scores: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """Name clips; the candidates are each label's first text.

    Args:
        scores: (examples, examples), row = text of example i, column = clip j.
        labels: of each example.
    Returns:
        R@1, R@5, R@10, median_rank, mean_rank of the right text; shares in 0-1. Ties go to the lower index.
    """
    _check(scores, labels)
    label_ids, candidates = _number(labels)
    by_clip = scores[candidates].T  # (clips, candidate texts)
    return rank_clips(lambda start, end: by_clip[start:end], label_ids, label_ids[candidates])


def rank_texts(score_rows: ScoreRows, text_labels: np.ndarray, clip_labels: np.ndarray) -> dict[str, float]:
    """As text_to_pose, for texts that differ from one another and rows that are made when needed.

    Args:
        score_rows: rows of (texts, clips).
        text_labels: int (texts,), without repetition; each has at least one clip.
        clip_labels: int (clips,).
    """
    hits_within: dict[int, list[int]] = {k: [] for k in CUTOFFS}
    ranks: list[int] = []
    for start, rows in _chunks(score_rows, len(text_labels)):
        order = np.argsort(-rows, axis=1, kind="stable")
        hits = clip_labels[order] == text_labels[start : start + len(rows), None]
        ranks.extend((hits.argmax(axis=1) + 1).tolist())
        for k in CUTOFFS:
            hits_within[k].extend(hits[:, :k].sum(axis=1).tolist())
    results = {f"R@{k}": sum(hits_within[k]) / len(clip_labels) for k in CUTOFFS}
    results |= {f"P@{k}": float(np.mean(hits_within[k])) / k for k in CUTOFFS}
    return results | _rank_summary(np.array(ranks))


def rank_clips(score_rows: ScoreRows, clip_labels: np.ndarray, text_labels: np.ndarray) -> dict[str, float]:
    """As pose_to_text, for rows that are made when needed.

    Args:
        score_rows: rows of (clips, texts).
        clip_labels: int (clips,).
        text_labels: int (texts,); each clip's label is among them.
    """
    ranks = np.concatenate(
        [
            first_ranks(rows, text_labels == clip_labels[start : start + len(rows), None])
            for start, rows in _chunks(score_rows, len(clip_labels))
        ]
    )
    return {f"R@{k}": float((ranks <= k).mean()) for k in CUTOFFS} | _rank_summary(ranks)


def first_ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
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
    return ((scores > value) | ((scores == value) & earlier)).sum(axis=1) + 1


def _chunks(score_rows: ScoreRows, count: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, count, ROWS_AT_ONCE):
        yield start, score_rows(start, min(start + ROWS_AT_ONCE, count))


def _number(labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    # Labels as numbers, and the first example of each, in order of appearance.
    _, first, numbers = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    return numbers, np.sort(first)


def _rank_summary(ranks: np.ndarray) -> dict[str, float]:
    return {"median_rank": float(np.median(ranks)), "mean_rank": float(np.mean(ranks))}


def _check(scores: np.ndarray, labels: Sequence[str]) -> None:
    if scores.shape != (len(labels), len(labels)):
        raise ValueError(f"scores are {scores.shape}, but there are {len(labels)} labels")
