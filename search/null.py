"""The calibrated null: what scores look like when nothing fits, and from which score on something does.

A background holds queries that are none of the candidates. Their best scores say how well something unknown may seem
to fit. A query is accepted when at most a stated share of the background fits better than it does.

Source: z-normalization of scores in speaker verification (Auckenthaler et al., 2000), and conformal p-values
(Vovk et al., 2005): among queries like the background's, the share that is accepted is at most the stated rate.
"""

import math

import numpy as np
import numpy.typing as npt

from search.errors import CalibrationError
from search.scoring import Ints
from search.vectors import Float64s, Floats

# Candidates whose scores hardly vary would turn rounding errors into large z-scores. Cosines of float32 vectors are
# exact to about 1e-7.
_LEAST_SPREAD = 1e-4
# How many scores the spread of all candidates counts as, beside a candidate's own: 20 to 60 scores, what a small bank
# has, tell a spread poorly. Of weights from 0 to 200, those from 60 on kept the stated rates best for letters that a
# bank of 21 to 63 clips lacks; a background of hundreds hardly feels it.
_COMMON_WEIGHT = 60
# More than any background has. The reciprocal of the smallest floats would be infinite.
_MOST_NEEDED = 2.0**53
# The share of unknown queries that is accepted when nobody asks for another.
DEFAULT_RATE = 0.05


class Null:
    """The scores of a background against some candidates.

    Args:
        scores: float (background, candidates). NaN: the query is an example of this candidate, so the score counts as
            none of the background's.
    Raises:
        CalibrationError: a candidate has no score of the background.
    """

    def __init__(self, scores: Floats) -> None:
        counts: Ints = np.count_nonzero(~np.isnan(scores), axis=0).astype(np.int64)
        if not scores.size or not counts.all():
            raise CalibrationError(
                "the background has no score for a candidate; it needs queries that are none of them"
            )
        wide = scores.astype(np.float64)
        self.means: Float64s = np.nanmean(wide, axis=0)
        variances = np.nanvar(wide, axis=0)
        common = float(np.average(variances, weights=counts))
        self.spreads: Float64s = _blend_spreads(variances, counts, common)
        standardized = _standardize_left_out(wide, counts, means=self.means, variances=variances, common=common)
        known = ~np.isnan(standardized).all(axis=1)
        self._best: Float64s = np.sort(np.nanmax(standardized[known], axis=1))

    def __len__(self) -> int:
        return len(self._best)

    def standardize(self, scores: Floats) -> Float64s:
        """Turn scores (queries, candidates) into z-scores: how far each is above the background's mean, in spreads."""
        return (scores.astype(np.float64) - self.means) / self.spreads

    def compute_p_values(self, scores: Floats) -> Float64s:
        """Compute how often something unknown fits as well as the best candidate of each query.

        Args:
            scores: float (queries, candidates).
        Returns:
            float64 (queries,), from 1 / (background + 1) to 1.
        """
        return self.rate_best(self.standardize(scores).max(axis=1))

    def rate_best(self, best: Floats) -> Float64s:
        """Do the same for the best z-scores of queries, (queries,)."""
        as_good = len(self._best) - np.searchsorted(self._best, best, side="left")
        rates: Float64s = (1.0 + as_good) / (len(self._best) + 1.0)
        return rates

    def find_threshold(self, rate: float) -> float:
        """Find the z-score above which at most a share of unknown queries lies.

        A query whose best z-score exceeds it has a p-value of at most `rate`.

        Args:
            rate: false accepts among unknown queries, 0 to 1.
        Raises:
            CalibrationError: the background is too small to know so low a rate.
        """
        check_rate(rate, background=len(self._best))
        return float(self._best[_find_place(rate, len(self._best))])


def _blend_spreads(variances: Float64s, counts: Ints, common: float) -> Float64s:
    """Compute each candidate's standard deviation from its own variance and the one of all candidates."""
    own = counts / (counts + _COMMON_WEIGHT)
    spreads: Float64s = np.maximum(np.sqrt(own * variances + (1 - own) * common), _LEAST_SPREAD)
    return spreads


def _standardize_left_out(
    scores: Float64s,
    counts: Ints,
    *,
    means: Float64s,
    variances: Float64s,
    common: float,
) -> Float64s:
    """Turn the background's own scores into z-scores, each by the others of its candidate.

    A query is no part of the mean and the spread that it is measured by. If the background's own scores were, its
    outliers would widen the spread that they are divided by, and queries would seem to fit better than it does.

    Args:
        scores: float64 (background, candidates), NaN where there is none.
        counts, means, variances: of each candidate's scores, (candidates,).
        common: the variance of all candidates.
    """
    others = np.maximum(counts - 1, 1)
    away = scores - means
    left_means = means - np.where(counts > 1, away / others, 0.0)
    left_variances = np.maximum((counts * variances - away * away * counts / others) / others, 0.0)
    standardized: Float64s = (scores - left_means) / _blend_spreads(left_variances, others, common)
    return standardized


def check_rate(rate: float, *, background: int) -> None:
    """Check that a background is large enough for a rate of false accepts.

    Raises:
        CalibrationError: it is too small.
    """
    needed = count_needed(rate)
    if background < needed:
        raise CalibrationError(
            f"a background of {background} cannot tell a false-accept rate of {rate:g}; at least {needed} are needed"
        )


def count_needed(rate: float) -> int:
    """Count how large a background must be for a rate of false accepts, above 0."""
    return math.ceil(min(1 / rate, _MOST_NEEDED) - 1e-9) - 1


def find_least_score(best: Floats, *, rate: float) -> float:
    """Find the least score that counts, from the best scores of a background, (background,).

    Returns:
        The next number above a score that only a share `rate` of the background exceeds.
    Raises:
        CalibrationError: the background is too small to know so low a rate.
    """
    check_rate(rate, background=len(best))
    return float(np.nextafter(np.sort(best)[_find_place(rate, len(best))], np.inf))


def find_none_logit(background_logits: Floats, *, rate: float = DEFAULT_RATE) -> float:
    """Find the logit of "none of these", beside the logits of candidates.

    In the softmax over candidates and "none", unknown queries then get more than one half for "none", but for a stated
    share of them.

    Args:
        background_logits: float (background, candidates).
        rate: the share of the background that may get less.
    Raises:
        CalibrationError: the background is too small to know so low a rate.
    """
    check_rate(rate, background=len(background_logits))
    together = np.sort(sum_logits(background_logits))
    return float(together[_find_place(rate, len(together))])


def compute_none_probabilities(logits: Floats, none_logit: float) -> Float64s:
    """Compute the probability of "none of these" for each row of logits (queries, candidates): float64 (queries,)."""
    difference = sum_logits(logits) - none_logit
    probabilities: Float64s = 1.0 / (1.0 + np.exp(np.clip(difference, -700, 700)))
    return probabilities


def sum_logits(logits: Floats) -> npt.NDArray[np.float64]:
    """Compute the logarithm of the sum of the exponentials of each row of (rows, columns): float64 (rows,)."""
    wide = logits.astype(np.float64)
    highest = wide.max(axis=1)
    total: npt.NDArray[np.float64] = highest + np.log(np.exp(wide - highest[:, None]).sum(axis=1))
    return total


def _find_place(rate: float, background: int) -> int:
    """Find the place of the threshold among the sorted best scores: p-values of higher scores are at most `rate`."""
    may_exceed = math.floor(rate * (background + 1) + 1e-9) - 1
    return background - may_exceed - 1
