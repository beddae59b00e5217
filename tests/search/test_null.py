"""The stated share of unknown queries is accepted, no more, whatever their scores look like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import CalibrationError
from search.null import Null, compute_none_probabilities, find_least_score, find_none_logit


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_false_accepts_are_at_the_stated_rate(rate):
    # Candidates that attract everything, and a background with a heavy tail.
    rng = np.random.default_rng(0)
    candidates = rng.normal(0, 0.2, 8)

    def draw(count):
        return rng.standard_t(3, size=(count, 8)) * 0.1 + candidates

    accepted = []
    for _ in range(40):
        null = Null(draw(400))
        accepted.append((null.compute_p_values(draw(400)) <= rate).mean())
    assert abs(np.mean(accepted) - rate) < 0.01


@given(st.integers(19, 120), st.sampled_from([0.05, 0.1, 0.25, 0.5]), st.integers(0, 10_000))
def test_the_threshold_and_the_p_values_say_the_same(background, rate, seed):
    rng = np.random.default_rng(seed)
    null = Null(rng.integers(0, 30, (background, 3)) / 10)
    queries = rng.integers(0, 40, (50, 3)) / 10
    best = null.standardize(queries).max(axis=1)
    assert ((best > null.find_threshold(rate)) == (null.rate_best(best) <= rate)).all()


def test_each_candidate_is_measured_by_its_own_background():
    scores = np.array([[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]])
    z = Null(scores).standardize(np.array([[1.0, 11.0]]))
    np.testing.assert_allclose(z, 0)


def test_an_example_does_not_count_for_its_own_label():
    scores = np.array([[np.nan, 0.1], [0.2, np.nan], [0.1, 0.2]])
    null = Null(scores)
    assert null.means.tolist() == pytest.approx([0.15, 0.15])
    assert len(null) == 3


def test_a_background_too_small_for_the_rate_is_refused():
    null = Null(np.random.default_rng(0).normal(size=(18, 2)))
    with pytest.raises(CalibrationError, match="at least 19"):
        null.find_threshold(0.05)
    with pytest.raises(CalibrationError, match="rate of 4"):
        null.find_threshold(5e-324)
    assert null.compute_p_values(np.array([[9.0, 9.0]]))[0] == pytest.approx(1 / 19)


def test_a_candidate_without_a_background_is_refused():
    with pytest.raises(CalibrationError, match="no score for a candidate"):
        Null(np.array([[0.1, np.nan], [0.2, np.nan]]))
    with pytest.raises(CalibrationError):
        Null(np.zeros((0, 2)))


def test_none_gets_more_than_half_for_all_but_the_stated_share_of_the_background():
    logits = np.random.default_rng(0).normal(20, 4, size=(400, 5))
    none = find_none_logit(logits, rate=0.05)
    shares = compute_none_probabilities(logits, none)
    assert 0.04 <= (shares < 0.5).mean() <= 0.05
    # It is the softmax over the candidates and none.
    row = np.append(logits[0], none)
    assert shares[0] == pytest.approx(np.exp(none - row.max()) / np.exp(row - row.max()).sum())
    assert compute_none_probabilities(np.array([[5000.0], [-5000.0]]), none).tolist() == [
        pytest.approx(0, abs=1e-9),
        pytest.approx(1),
    ]


def test_the_least_score_is_reached_by_no_more_than_the_stated_share():
    best = np.random.default_rng(0).integers(0, 50, 100) / 50
    least = find_least_score(best, rate=0.05)
    assert (1 + (best >= least).sum()) / 101 <= 0.05 < (1 + (best >= np.nextafter(least, 0)).sum()) / 101
    with pytest.raises(CalibrationError, match="at least 19"):
        find_least_score(best[:18], rate=0.05)


@pytest.mark.parametrize("size", [30, 60])
def test_a_small_background_keeps_the_stated_rate(size):
    # Measured by a mean and a spread that it is part of, an outlier of the background would fit worse than it does:
    # more than twice the stated share would be accepted.
    rng = np.random.default_rng(1)
    accepted = [
        (Null(rng.normal(size=(size, 20))).compute_p_values(rng.normal(size=(200, 20))) <= 0.1).mean()
        for _ in range(200)
    ]
    assert abs(np.mean(accepted) - 0.1) < 0.02


def test_few_scores_of_a_candidate_are_measured_by_the_spread_of_all():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(60, 5))
    scores[2:, 0] = np.nan
    scores[:2, 0] = 0.5, 0.5001  # two that happen to be alike
    assert Null(scores).spreads[0] == pytest.approx(Null(scores).spreads[1:].mean(), rel=0.1)
