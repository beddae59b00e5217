"""From scores to an answer: the label, how sure it is, the nearest examples, or that nothing fits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.null import DEFAULT_RATE, Null, count_needed
from search.vectors import Float64s, Floats, compute_softmax

# Inverse temperatures that are tried. Cosines differ by hundredths, logits of trained models by units.
_SCALES = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0)
# Where a bank has too few examples to choose one. SignCLIP models train with scales near 40.
DEFAULT_SCALE = 40.0
# Fewer examples whose own label has others do not tell which scale is right.
_LEAST_EXAMPLES = 10


@dataclass(frozen=True)
class Decision:
    """What a query is.

    Attributes:
        label: the best label, whether or not it is rejected.
        score: of this label, by the method's own measure.
        probability: of this label among the labels, if the query is any of them.
        margin: by how much this probability exceeds the second best; 1 where there is one label only.
        p_value: how often something unknown fits as well; None without a null.
        rejected: whether nothing fits.
        reason: why it is rejected, or why that could not be decided; None otherwise.
    """

    label: str
    score: float
    probability: float
    margin: float
    p_value: float | None = None
    rejected: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class NullEvidence:
    """How some queries compare with one kind of unknown queries.

    Attributes:
        about: what the unknown queries are, for people.
        size: how many there are.
        p_values: float64 (queries,).
    """

    about: str
    size: int
    p_values: Float64s


def compare_with_null(null: Null, scores: Floats, *, about: str) -> NullEvidence:
    """Compare the scores (queries, candidates) of some queries with those of unknown queries."""
    return NullEvidence(about, len(null), null.compute_p_values(scores))


def decide(
    scores: Floats,
    labels: Sequence[str],
    *,
    scale: float,
    evidence: Sequence[NullEvidence] = (),
    rate: float = DEFAULT_RATE,
) -> list[Decision]:
    """Choose a label for each query.

    Args:
        scores: float (queries, labels).
        labels: what the columns stand for.
        scale: what scores are multiplied with before the softmax.
        evidence: comparisons with unknown queries. A query must stand out from each kind.
        rate: the share of unknown queries that may be accepted.
    """
    probabilities = compute_softmax(scores * scale)
    usable = [found for found in evidence if found.size >= count_needed(rate)]
    decisions = []
    for row in range(len(scores)):
        best = int(np.argmax(scores[row]))
        others = np.delete(probabilities[row], best)
        p_value, reason = _judge(row, evidence=evidence, usable=usable, rate=rate)
        decisions.append(
            Decision(
                label=labels[best],
                score=float(scores[row, best]),
                probability=float(probabilities[row, best]),
                margin=float(probabilities[row, best] - others.max(initial=0.0)),
                p_value=p_value,
                rejected=p_value is not None and p_value > rate,
                reason=reason,
            )
        )
    return decisions


def _judge(
    row: int, *, evidence: Sequence[NullEvidence], usable: Sequence[NullEvidence], rate: float
) -> tuple[float | None, str | None]:
    """Return the highest p-value of a query, and the reason for its rejection or why it could not be judged."""
    if not evidence:
        return None, None
    if not usable:
        sizes = " and ".join(f"{found.size} {found.about}" for found in evidence)
        return None, f"cannot be judged at a rate of {rate:g} by {sizes}; {count_needed(rate)} are needed"
    worst = max(usable, key=lambda found: float(found.p_values[row]))
    p_value = float(worst.p_values[row])
    if p_value <= rate:
        return p_value, None
    return p_value, f"{100 * p_value:.0f} % of {worst.about} fit as well; at most {100 * rate:g} % may"


def choose_scale(scores: Floats, own: Sequence[int]) -> float:
    """Choose the scale under which left-out examples find their labels most probable.

    Args:
        scores: float (examples, labels), each example scored as if it were not in the bank. NaN: unknown.
        own: the column of each example's label.
    Returns:
        One of a few fixed scales; DEFAULT_SCALE where fewer than 10 examples can be used.
    """
    fits = _measure_fits(scores, own)
    # The first scale stands for all: an example whose own label is unknown is unknown under every scale.
    if np.count_nonzero(~np.isnan(fits[0])) < _LEAST_EXAMPLES:
        return DEFAULT_SCALE
    return _SCALES[int(np.argmax(np.nanmean(fits, axis=1)))]


def measure_fit(scores: Floats, own: Sequence[int], *, guess: float) -> float:
    """Measure how probable left-out examples find their labels, under the best of some scales.

    Args:
        scores: float (examples, labels), as for choose_scale.
        own: the column of each example's label.
        guess: what an example counts whose own label is unknown.
    Returns:
        The mean log-probability.
    """
    return float(np.nan_to_num(_measure_fits(scores, own), nan=guess).mean(axis=1).max())


def _measure_fits(scores: Floats, own: Sequence[int]) -> Float64s:
    """Compute the log-probability of each example's own label under each scale, float64 (scales, examples)."""
    rows, columns = np.arange(len(own)), np.asarray(own)
    known = np.where(np.isnan(scores), -1.0, scores)
    shares = np.stack([compute_softmax(known * scale)[rows, columns] for scale in _SCALES])
    fits: Float64s = np.where(np.isnan(scores[rows, columns]), np.nan, np.log(np.maximum(shares, 1e-12)))
    return fits
