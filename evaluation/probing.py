"""What frozen embeddings know without their texts: classes from a few examples, and from all of them.

Source: test_recognition_few_shot_knn.py and test_recognition_supervised.py of J22Melody/fairseq@4e491ec3.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from evaluation.retrieval import summarize_clips

Ints = npt.NDArray[np.int64]
Shots = int | Literal["all"]
SHOTS: tuple[Shots, ...] = (1, 5, 10, 100)
DISTANCES_AT_ONCE = 1 << 24
"""Distances held together, in float64: 128 MB."""
LOGISTIC_STEPS = 1000
"""The authors stop after 100 steps, before their fit has converged."""


@dataclass(frozen=True)
class Labelled:
    """Embeddings with their classes: (clips, embed_dim) and int64 (clips,), 0 to classes - 1."""

    vectors: np.ndarray
    classes: Ints

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, rows: np.ndarray) -> "Labelled":
        return Labelled(self.vectors[rows], self.classes[rows])


@dataclass(frozen=True)
class Probed:
    """How a probe ranked the right classes: int64 (clips,), from 1; notes say what to know of the fit."""

    ranks: Ints
    notes: dict[str, Any] = field(default_factory=dict)


def nearest_clips(known: Labelled, asked: Labelled, *, neighbours: int | None = None) -> Probed:
    """Let the nearest known clips vote, after scaling each dimension to unit variance as the authors do.

    Classes with equal votes are ordered by their nearest clip, so that all classes have a rank; then by number.

    Args:
        neighbours: that vote; None: as many as the largest class has clips, 1 for one shot. The authors take the number
            of classes, which lets all clips vote alike in the case of one shot.
    """
    scaler = StandardScaler().fit(known.vectors)
    order = np.argsort(known.classes, kind="stable")
    present, starts, counts = np.unique(known.classes[order], return_index=True, return_counts=True)
    clips = scaler.transform(known.vectors[order])
    votes_of = min(neighbours or int(counts.max()), len(known))

    def rank_some(vectors: np.ndarray, own: Ints) -> Ints:
        distances = _squared_distances(vectors, clips)  # asked, known
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :votes_of]
        votes = np.zeros((len(vectors), len(present)), dtype=np.int64)
        voted = np.searchsorted(present, known.classes[order])[nearest]
        np.add.at(votes, (np.arange(len(vectors))[:, None], voted), 1)
        return _rank_own(-votes, np.minimum.reduceat(distances, starts, axis=1), own)

    return Probed(_in_chunks(rank_some, scaler.transform(asked.vectors), _own_columns(present, asked), len(clips)))


def nearest_means(known: Labelled, asked: Labelled) -> Probed:
    """Rank classes by the distance to the mean of their known clips, scaled as for nearest_clips."""
    scaler = StandardScaler().fit(known.vectors)
    present, columns, counts = np.unique(known.classes, return_inverse=True, return_counts=True)
    sums = np.zeros((len(present), known.vectors.shape[1]))
    np.add.at(sums, columns, scaler.transform(known.vectors))
    means = sums / counts[:, None]

    def rank_some(vectors: np.ndarray, own: Ints) -> Ints:
        distances = _squared_distances(vectors, means)
        return _rank_own(np.zeros_like(distances), distances, own)

    return Probed(_in_chunks(rank_some, scaler.transform(asked.vectors), _own_columns(present, asked), len(present)))


def logistic_regression(known: Labelled, asked: Labelled) -> Probed:
    """Fit a linear classifier to the raw embeddings, as the authors do."""
    present = np.unique(known.classes)
    own = _own_columns(present, asked)
    if len(present) == 1:
        return Probed(np.ones(len(asked), dtype=np.int64), {"converged": True})
    classifier = LogisticRegression(max_iter=LOGISTIC_STEPS)
    with warnings.catch_warnings():
        # Of too few steps, which is reported below, and of few clips a class, which is the point.
        warnings.simplefilter("ignore", UserWarning)
        classifier.fit(known.vectors.astype(np.float64), known.classes)
    shares = classifier.predict_proba(asked.vectors.astype(np.float64))
    converged = bool(np.max(classifier.n_iter_) < LOGISTIC_STEPS)
    return Probed(_rank_own(-shares, np.zeros_like(shares), own), {"converged": converged})


PROBES: dict[str, Callable[[Labelled, Labelled], Probed]] = {
    "nearest_clips": nearest_clips,
    "nearest_means": nearest_means,
    "logistic_regression": logistic_regression,
}


def probe(
    name: str, known: Labelled, asked: Labelled | None, *, shots: Shots, seeds: Sequence[int]
) -> dict[str, Any] | None:
    """Show a probe some clips of each class and ask it for the others.

    Args:
        name: one of PROBES.
        known: clips to draw from.
        asked: clips to name; those of classes that `known` lacks are left out, as the authors do. None: the clips of
            `known` that were not drawn.
        shots: clips drawn a class, or fewer where it has fewer; "all" draws once.
        seeds: a draw each.
    Returns:
        classes and clips asked, and for R@1, R@5, R@10, median_rank, mean_rank the mean over seeds, the standard
        deviation ("spread") and each seed's figures; None if nothing is left to ask.
    """
    if shots == "all" and asked is not None:
        seeds = seeds[:1]
    figures, notes, clips, classes = [], [], 0, 0
    for seed in seeds:
        drawn, rest = draw_shots(known.classes, shots, seed=seed, keep_one=asked is None)
        support, questions = known[drawn], known[rest] if asked is None else asked
        questions = questions[np.flatnonzero(np.isin(questions.classes, support.classes))]
        if not len(questions):
            return None
        probed = PROBES[name](support, questions)
        figures.append(summarize_clips(probed.ranks))
        notes.append(probed.notes)
        clips, classes = len(questions), len(np.unique(support.classes))
    columns = {key: [row[key] for row in figures] for key in figures[0]}
    return {
        "probe": name,
        "shots": shots,
        "clips": clips,
        "classes": classes,
        "mean": {key: float(np.mean(values)) for key, values in columns.items()},
        "spread": {key: float(np.std(values, ddof=1)) if len(values) > 1 else None for key, values in columns.items()},
        "by_seed": {str(seed): row | note for seed, row, note in zip(seeds, figures, notes, strict=True)},
    }


def draw_shots(classes: Ints, shots: Shots, *, seed: int, keep_one: bool = False) -> tuple[Ints, Ints]:
    """Draw clips of each class without replacement.

    Args:
        classes: int (clips,).
        keep_one: leave at least one clip of each class undrawn, and so classes of a single clip alone.
    Returns:
        the rows drawn and the others, both rising.
    """
    chance = np.random.default_rng(seed)
    shuffled = chance.permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    _, starts, counts = np.unique(classes[by_class], return_index=True, return_counts=True)
    place = np.arange(len(classes)) - np.repeat(starts, counts)
    wanted = counts if shots == "all" else np.minimum(counts, shots)
    if keep_one:
        wanted = np.minimum(wanted, counts - 1)
    taken = place < np.repeat(wanted, counts)
    return np.sort(by_class[taken]), np.sort(by_class[~taken])


def _own_columns(present: Ints, asked: Labelled) -> Ints:
    columns = np.searchsorted(present, asked.classes)
    missing = (columns == len(present)) | (present[np.minimum(columns, len(present) - 1)] != asked.classes)
    if missing.any():
        raise ValueError(f"{int(missing.sum())} of {len(asked)} clips are of classes that no known clip has")
    return columns


def _in_chunks(rank_some: Callable[[np.ndarray, Ints], Ints], vectors: np.ndarray, own: Ints, candidates: int) -> Ints:
    rows = max(1, DISTANCES_AT_ONCE // candidates)
    ranks = [rank_some(vectors[start : start + rows], own[start : start + rows]) for start in range(0, len(own), rows)]
    return np.concatenate(ranks)


def _squared_distances(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares: np.ndarray = (others**2).sum(axis=1) - 2 * vectors @ others.T + (vectors**2).sum(axis=1)[:, None]
    return squares


def _rank_own(first: np.ndarray, second: np.ndarray, own: Ints) -> Ints:
    # Rank of each row's own column by the first key, then the second, smaller is better; then by the column.
    column = own[:, None]
    first_own, second_own = np.take_along_axis(first, column, axis=1), np.take_along_axis(second, column, axis=1)
    earlier = np.arange(first.shape[1]) < column
    tied = (second < second_own) | ((second == second_own) & earlier)
    ranks: Ints = ((first < first_own) | ((first == first_own) & tied)).sum(axis=1) + 1
    return ranks
