"""Few-shot and supervised probes of frozen embeddings: draws of clips to learn from, and metrics over draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np

from corpora.arrays import Int64Array
from evaluation.intervals import estimate_mean_over_draws
from evaluation.probing import (
    AUTHORS_LOGISTIC_STEPS,
    LabelledVectors,
    Neighbours,
    ProbeResult,
    compare_class_means,
    compare_mean_dot_products,
    fit_layers,
    fit_logistic_regression,
    vote_nearest_clips,
)
from evaluation.retrieval import CUTOFFS, summarize_clips
from evaluation.trained_probes import LAYERS

Shots = int | Literal["all"]
SHOTS: tuple[Shots, ...] = (1, 5, 10, 100)


class Learn(Protocol):
    """Learns from the first clips, and ranks the right classes of the second."""

    def __call__(self, support: LabelledVectors, query: LabelledVectors, /) -> ProbeResult:
        """Return the ranks; see ProbeResult."""
        ...


PROBES: dict[str, Learn] = {
    "nearest_clips": vote_nearest_clips,
    "nearest_means": compare_class_means,
    "mean_dot_products": compare_mean_dot_products,
    "logistic_regression": fit_logistic_regression,
    "logistic_regression_100": partial(fit_logistic_regression, steps=AUTHORS_LOGISTIC_STEPS),
    **{name: partial(fit_layers, layers=layers) for name, layers in LAYERS.items()},
}


@dataclass(frozen=True)
class LearnerOptions:
    """Options that single probes have.

    Attributes:
        neighbours: of nearest_clips, see vote_nearest_clips.
        device: of linear and mlp, as PyTorch names it.
    """

    neighbours: Neighbours = "shots"
    device: str = "cpu"


DEFAULT_OPTIONS = LearnerOptions()


def probe(
    name: str,
    support: LabelledVectors,
    query: LabelledVectors | None,
    *,
    shots: Shots,
    seeds: Sequence[int],
    options: LearnerOptions = DEFAULT_OPTIONS,
) -> dict[str, Any] | None:
    """Let a probe learn from some clips of each class and classify the others.

    Args:
        name: one of PROBES.
        support: the clips that the shots are drawn from.
        query: the clips to classify. As the authors do, those of classes that the support lacks are left out. None:
            the clips of `support` that were not drawn.
        shots: number of clips drawn a class; a smaller class gives all its clips. "all" draws once.
        seeds: of the draws; each seed draws anew.
        options: of single probes.
    Returns:
        The numbers of classes and of classified clips; for R@1, R@5, R@10, median_rank and mean_rank the mean over
        seeds, the standard deviation ("spread") and each seed's value; for R@k the 95 % "interval" of the mean, over
        seeds and clips. None if no clip is left to classify.
    """
    if shots == "all" and query is not None:
        seeds = seeds[:1]
    learn = _choose(name, options)
    asked = support if query is None else query
    metrics, notes, ranks, searches = [], [], [], []
    for seed in seeds:
        drawn, others = draw_shots(support.classes, shots, seed=seed, keep_one=query is None)
        learned, rows = support[drawn], others if query is None else np.arange(len(query))
        rows = rows[np.isin(asked.classes[rows], learned.classes)]
        if not len(rows):
            return None
        result = learn(learned, asked[rows])
        metrics.append(summarize_clips(result.ranks))
        notes.append(result.notes)
        ranks.append(result.ranks)
        searches.append(rows)
    return {
        "probe": name,
        "shots": shots,
        "neighbours": options.neighbours if name == "nearest_clips" else None,
        "clips": len(searches[-1]),
        "classes": len(np.unique(learned.classes)),
        **_average(metrics),
        "interval": {f"R@{k}": estimate_mean_over_draws([found <= k for found in ranks], searches) for k in CUTOFFS},
        "by_seed": {str(seed): row | note for seed, row, note in zip(seeds, metrics, notes, strict=True)},
    }


def _choose(name: str, options: LearnerOptions) -> Learn:
    if name == "nearest_clips":
        return partial(vote_nearest_clips, neighbours=options.neighbours)
    return partial(fit_layers, layers=LAYERS[name], device=options.device) if name in LAYERS else PROBES[name]


def _average(metrics: Sequence[dict[str, float]]) -> dict[str, dict[str, float | None]]:
    columns = {key: [row[key] for row in metrics] for key in metrics[0]}
    return {
        "mean": {key: float(np.mean(values)) for key, values in columns.items()},
        "spread": {key: float(np.std(values, ddof=1)) if len(values) > 1 else None for key, values in columns.items()},
    }


def draw_shots(
    classes: Int64Array, shots: Shots, *, seed: int, keep_one: bool = False
) -> tuple[Int64Array, Int64Array]:
    """Draw clips of each class without replacement.

    Args:
        classes: int64 (clips,).
        shots: number of clips a class, or "all".
        seed: of the draw.
        keep_one: leave at least one clip of each class undrawn. A class of a single clip is then not drawn from.
    Returns:
        The rows of the drawn clips, and those of the others; int64, both in rising order.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    _, starts, counts = np.unique(classes[by_class], return_index=True, return_counts=True)
    place = np.arange(len(classes)) - np.repeat(starts, counts)
    wanted = counts if shots == "all" else np.minimum(counts, shots)
    if keep_one:
        wanted = np.minimum(wanted, counts - 1)
    drawn = place < np.repeat(wanted, counts)
    return np.sort(by_class[drawn]), np.sort(by_class[~drawn])
