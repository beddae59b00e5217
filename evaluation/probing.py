"""What frozen embeddings know without texts: probes that learn classes from some clips and rank them for others.

Source: test_recognition_few_shot_knn.py and test_recognition_supervised.py of J22Melody/fairseq@1a341c14.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from corpora.arrays import Float64Array, FloatArray, Int64Array
from evaluation.errors import ScoresError
from evaluation.trained_probes import ProbeLayers, TrainedProbe

Neighbours = int | Literal["shots", "sqrt"]
# Distances that are held in memory at once; in float64 they take 128 MB.
DISTANCES_AT_ONCE = 1 << 24
# The authors stop after 100 steps, before their fit has converged.
LOGISTIC_STEPS = 1000
AUTHORS_LOGISTIC_STEPS = 100


@dataclass(frozen=True)
class LabelledVectors:
    """Embeddings with their classes.

    Attributes:
        vectors: float (clips, embed_dim).
        classes: int64 (clips,), from 0 to the number of classes - 1.
    """

    vectors: FloatArray
    classes: Int64Array

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, rows: Int64Array) -> "LabelledVectors":
        return LabelledVectors(self.vectors[rows], self.classes[rows])


@dataclass(frozen=True)
class ProbeResult:
    """How a probe ranked the right classes.

    Attributes:
        ranks: int64 (clips,), from 1.
        notes: properties of the fit, such as whether it converged.
    """

    ranks: Int64Array
    notes: dict[str, Any] = field(default_factory=dict)


def vote_nearest_clips(
    support: LabelledVectors, query: LabelledVectors, *, neighbours: Neighbours = "shots"
) -> ProbeResult:
    """Let the nearest support clips vote, after scaling each dimension to unit variance as the authors do.

    Classes with equal votes are ordered by their nearest clip, then by number, so that every class has a rank. With
    "sqrt" the class of the larger number comes first, as in scikit-learn's top_k_accuracy_score, which the authors use.

    Args:
        support: the clips to learn from.
        query: the clips to classify, of classes that the support has.
        neighbours: number of clips that vote; "shots": as many as the largest class has clips, so 1 for one shot;
            "sqrt": as the authors do, the rounded square root of the number of support clips.
    Raises:
        ScoresError: the query has a class that the support lacks.
    """
    scaler = StandardScaler().fit(support.vectors)
    order = np.argsort(support.classes, kind="stable")
    present, starts, counts = np.unique(support.classes[order], return_index=True, return_counts=True)
    clips = scaler.transform(support.vectors[order])
    voters = min(_count_neighbours(neighbours, counts), len(support))
    later_first = np.broadcast_to(-np.arange(len(present), dtype=np.float64), (1, len(present)))

    def rank_some(vectors: FloatArray, own: Int64Array) -> Int64Array:
        distances = _measure_squared_distances(vectors, clips)  # query, support
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :voters]
        votes = np.zeros((len(vectors), len(present)), dtype=np.int64)
        voted = np.searchsorted(present, support.classes[order])[nearest]
        np.add.at(votes, (np.arange(len(vectors))[:, None], voted), 1)
        if neighbours == "sqrt":
            return _rank_own(-votes, np.repeat(later_first, len(votes), axis=0), own)
        return _rank_own(-votes, np.minimum.reduceat(distances, starts, axis=1), own)

    own = _find_own_columns(present, query)
    return ProbeResult(_rank_in_chunks(rank_some, scaler.transform(query.vectors), own, candidates=len(clips)))


def _count_neighbours(neighbours: Neighbours, clips_by_class: Int64Array) -> int:
    if isinstance(neighbours, int):
        return neighbours
    return int(clips_by_class.max()) if neighbours == "shots" else round(math.sqrt(clips_by_class.sum()))


def compare_class_means(support: LabelledVectors, query: LabelledVectors) -> ProbeResult:
    """Rank classes by the distance to the mean of their support clips, scaled as in vote_nearest_clips.

    Raises:
        ScoresError: the query has a class that the support lacks.
    """
    scaler = StandardScaler().fit(support.vectors)
    present, columns, counts = np.unique(support.classes, return_inverse=True, return_counts=True)
    sums = np.zeros((len(present), support.vectors.shape[1]))
    np.add.at(sums, columns, scaler.transform(support.vectors))
    means = sums / counts[:, None]

    def rank_some(vectors: FloatArray, own: Int64Array) -> Int64Array:
        distances = _measure_squared_distances(vectors, means)
        return _rank_own(np.zeros_like(distances), distances, own)

    own = _find_own_columns(present, query)
    return ProbeResult(_rank_in_chunks(rank_some, scaler.transform(query.vectors), own, candidates=len(present)))


def compare_mean_dot_products(support: LabelledVectors, query: LabelledVectors) -> ProbeResult:
    """Rank classes by the dot product with the mean of their support clips, all raw, as the authors do.

    Raises:
        ScoresError: the query has a class that the support lacks.
    """
    present, columns, counts = np.unique(support.classes, return_inverse=True, return_counts=True)
    sums = np.zeros((len(present), support.vectors.shape[1]))
    np.add.at(sums, columns, support.vectors)
    means = sums / counts[:, None]

    def rank_some(vectors: FloatArray, own: Int64Array) -> Int64Array:
        scores = vectors @ means.T
        return _rank_own(-scores, np.zeros_like(scores), own)

    own = _find_own_columns(present, query)
    return ProbeResult(_rank_in_chunks(rank_some, query.vectors, own, candidates=len(present)))


def fit_logistic_regression(
    support: LabelledVectors, query: LabelledVectors, *, steps: int = LOGISTIC_STEPS
) -> ProbeResult:
    """Fit a linear classifier to the raw embeddings, as the authors do.

    Args:
        support: the clips to learn from.
        query: the clips to classify.
        steps: the most that the fit takes; the authors' 100 end before it has converged.
    Returns:
        The ranks, and the note "converged", whether the fit converged.
    Raises:
        ScoresError: the query has a class that the support lacks.
    """
    present = np.unique(support.classes)
    own = _find_own_columns(present, query)
    if len(present) == 1:
        return ProbeResult(np.ones(len(query), dtype=np.int64), {"converged": True})
    classifier = LogisticRegression(max_iter=steps)
    with warnings.catch_warnings():
        # scikit-learn warns of too few steps, which the note reports, and of few clips a class, which is intended.
        warnings.simplefilter("ignore", UserWarning)
        classifier.fit(support.vectors.astype(np.float64), support.classes)
    shares = classifier.predict_proba(query.vectors.astype(np.float64))
    converged = bool(np.max(classifier.n_iter_) < steps)
    return ProbeResult(_rank_own(-shares, np.zeros_like(shares), own), {"converged": converged})


def fit_layers(
    support: LabelledVectors, query: LabelledVectors, *, layers: ProbeLayers, device: str = "cpu"
) -> ProbeResult:
    """Fit a linear or a hidden layer in small batches; see trained_probes.

    Raises:
        ScoresError: the query has a class that the support lacks.
    """
    present, columns = np.unique(support.classes, return_inverse=True)
    own = _find_own_columns(present, query)
    probe = TrainedProbe(support.vectors, columns.astype(np.int64), layers=layers, device=device)
    return ProbeResult(probe.rank(query.vectors, own))


def _find_own_columns(present: Int64Array, query: LabelledVectors) -> Int64Array:
    columns = np.searchsorted(present, query.classes)
    missing = (columns == len(present)) | (present[np.minimum(columns, len(present) - 1)] != query.classes)
    if missing.any():
        raise ScoresError(f"{int(missing.sum())} of {len(query)} clips are of classes that the support lacks")
    return columns


def _rank_in_chunks(
    rank_some: Callable[[FloatArray, Int64Array], Int64Array], vectors: FloatArray, own: Int64Array, *, candidates: int
) -> Int64Array:
    rows = max(1, DISTANCES_AT_ONCE // candidates)
    ranks = [rank_some(vectors[start : start + rows], own[start : start + rows]) for start in range(0, len(own), rows)]
    return np.concatenate(ranks)


def _measure_squared_distances(vectors: FloatArray, others: FloatArray) -> Float64Array:
    """Measure the squared distance of every vector to every other: float64 (vectors, others)."""
    squares: Float64Array = (others**2).sum(axis=1) - 2 * vectors @ others.T + (vectors**2).sum(axis=1)[:, None]
    return squares


def _rank_own(first: FloatArray | Int64Array, second: FloatArray, own: Int64Array) -> Int64Array:
    # The rank of each row's own column by the first key, then by the second, then by the column; smaller is better.
    column = own[:, None]
    first_own, second_own = np.take_along_axis(first, column, axis=1), np.take_along_axis(second, column, axis=1)
    earlier = np.arange(first.shape[1]) < column
    tied = (second < second_own) | ((second == second_own) & earlier)
    ranks: Int64Array = ((first < first_own) | ((first == first_own) & tied)).sum(axis=1) + 1
    return ranks
