"""Confidence intervals of metrics, and the significance of differences between two runs on the same clips.

Intervals are those of the percentile bootstrap over searches. They treat searches as independent. Clips of one signer
resemble each other, so an interval says how much the choice of clips matters, and not how other signers would fare.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from corpora.arrays import BoolArray, Float64Array, Int64Array
from evaluation.errors import ScoresError

CONFIDENCE = 0.95
# With 1,000 resamples, the ends of an interval vary by some 3 % of its length from seed to seed.
RESAMPLES = 1000
# The smallest p of a permutation test is the inverse of this.
PERMUTATIONS = 10_000
# Signs that are drawn together; in float32 they take 40 MB.
_SIGNS_AT_ONCE = 10_000_000
Interval = tuple[float, float]


def score_searches(ranks: Int64Array) -> dict[str, Float64Array]:
    """Score each search by the rank of its first right answer.

    Args:
        ranks: int64 (searches,), from 1.
    Returns:
        float64 (searches,) each: R@1, R@5 and R@10, 1 if the rank is within them; MRR, the inverse of the rank; DCG,
        the inverse of log2(rank + 1). ASL Citizen's leaderboard averages all of these.
    """
    scores = {f"R@{k}": (ranks <= k).astype(np.float64) for k in (1, 5, 10)}
    return scores | {"MRR": 1 / ranks, "DCG": 1 / np.log2(ranks + 1)}


def average_classes(values: Float64Array, classes: Int64Array) -> float:
    """Average over classes of the average over a class's clips, so that every class counts alike.

    Args:
        values: float64 (clips,).
        classes: int64 (clips,), from 0.
    """
    return float(_average_each_class(values, classes).mean())


def estimate_intervals(
    ranks: Int64Array, *, classes: Int64Array | None = None, more: Mapping[str, Float64Array] | None = None
) -> dict[str, Interval]:
    """Estimate the interval of each metric of a kind of search.

    Args:
        ranks: int64 (searches,), from 1.
        classes: int64 (searches,), from 0; if given, averages over classes are estimated too, by resampling classes.
        more: float64 (searches,) by name, further scores whose mean is a metric.
    Returns:
        By metric, the lower and the upper end.
    """
    scores = score_searches(ranks)
    columns = np.stack([*scores.values(), *(more or {}).values()], axis=1)  # searches, metrics
    names = [*scores, *(more or {})]
    order = np.argsort(ranks, kind="stable")
    rows = []
    for counts in _draw_counts(len(ranks)):
        row = [*(counts @ columns / len(ranks)), _find_median(ranks[order], counts[order])]
        rows.append(row)
    names.append("median_rank")
    intervals = _take_ends(names, rows)
    if classes is not None:
        averages = np.stack([_average_each_class(scores[f"R@{k}"], classes) for k in (1, 5, 10)], axis=1)
        drawn = [counts @ averages / len(averages) for counts in _draw_counts(len(averages))]
        intervals |= _take_ends([f"class_R@{k}" for k in (1, 5, 10)], drawn)
    return intervals


def estimate_mean_over_draws(hits: Sequence[BoolArray], searches: Sequence[Int64Array]) -> Interval:
    """Estimate the interval of a mean over draws and searches, as of a few-shot probe over several seeds.

    Each resample draws draws with replacement, and searches with replacement. Most searches are in all draws, so a
    search is drawn for all of them at once: more draws say nothing of other searches.

    Args:
        hits: bool (searches,) for each draw.
        searches: int64 (searches,) for each draw, a number for each search that is the same in all draws.
    """
    # Another seed than that of the resampled searches, whose random numbers it would repeat.
    rng = np.random.default_rng(1)
    shares = np.array([found.mean() for found in hits])
    numbers, columns = np.unique(np.concatenate(searches), return_inverse=True)
    places = np.split(columns, np.cumsum([len(found) for found in hits])[:-1])
    means = []
    for counts in _draw_counts(len(numbers)):
        drawn = [counts[place] for place in places]
        # A draw of which no search was drawn keeps its share.
        values = [
            float(weights @ found / weights.sum()) if weights.any() else share
            for weights, found, share in zip(drawn, hits, shares, strict=True)
        ]
        means.append(np.mean(np.array(values)[rng.integers(len(hits), size=len(hits))]))
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def compare_scores(first: Float64Array, second: Float64Array) -> dict[str, Any]:
    """Compare the scores of two runs for the same searches.

    Args:
        first, second: float64 (searches,), in the same order.
    Returns:
        The means "first" and "second", their "difference" with its interval ("low", "high"), and the two-sided "p" of
        no difference: of McNemar's exact test where all scores are 0 or 1, else of 10,000 random exchanges between the
        runs.
    Raises:
        ScoresError: the runs have other numbers of searches.
    """
    if len(first) != len(second):
        raise ScoresError(f"{len(first)} and {len(second)} scores cannot be paired")
    differences = second - first
    means = [float(counts @ differences / len(differences)) for counts in _draw_counts(len(differences))]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    binary = bool(np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all())
    return {
        "first": float(first.mean()),
        "second": float(second.mean()),
        "difference": float(differences.mean()),
        "low": float(low),
        "high": float(high),
        "p": _test_exactly(differences > 0, differences < 0) if binary else _test_by_exchanging(differences),
    }


def _draw_counts(searches: int) -> Iterator[Float64Array]:
    # How often each search is drawn, for each resample.
    rng = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        yield np.bincount(rng.integers(searches, size=searches), minlength=searches).astype(np.float64)


def _find_median(ranks: Int64Array, counts: Float64Array) -> float:
    # Of ranks in rising order, each so often: the mean of the two in the middle, as np.median.
    ends = np.cumsum(counts)
    middle = [(ends[-1] + 1) // 2, ends[-1] // 2 + 1]
    return float(ranks[np.searchsorted(ends, middle)].mean())


def _average_each_class(values: Float64Array, classes: Int64Array) -> Float64Array:
    # float64 (classes that have clips,).
    clips = np.bincount(classes)
    averages: Float64Array = np.bincount(classes, weights=values)[clips > 0] / clips[clips > 0]
    return averages


def _take_ends(names: Sequence[str], rows: Sequence[Sequence[float] | Float64Array]) -> dict[str, Interval]:
    ends = np.quantile(np.array(rows), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return {name: (float(low), float(high)) for name, low, high in zip(names, *ends, strict=True)}


def _test_exactly(better: BoolArray, worse: BoolArray) -> float:
    changed = int(better.sum() + worse.sum())
    return 1.0 if not changed else float(stats.binomtest(int(better.sum()), changed).pvalue)


def _test_by_exchanging(differences: Float64Array) -> float:
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    rng = np.random.default_rng(0)
    values = differences.astype(np.float32)
    # Sums that are equal but for rounding count as equally large.
    observed = abs(float(values.sum(dtype=np.float64))) * (1 - 1e-5)
    extreme, rows = 0, max(1, _SIGNS_AT_ONCE // len(values))
    for start in range(0, PERMUTATIONS - 1, rows):
        count = min(rows, PERMUTATIONS - 1 - start)
        signs = rng.integers(0, 2, (count, len(values)), dtype=np.int8) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs.astype(np.float32) @ values) >= observed))
    return (extreme + 1) / PERMUTATIONS
