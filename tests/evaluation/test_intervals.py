"""Intervals and tests against scipy's, and against cases whose answer is known."""

import numpy as np
import pytest
from scipy import stats

from evaluation.errors import ScoresError
from evaluation.intervals import (
    average_classes,
    compare_scores,
    estimate_intervals,
    estimate_mean_over_draws,
    score_searches,
)


@pytest.fixture
def ranks():
    return np.random.default_rng(0).geometric(0.3, 400)


def test_scores_of_ranks():
    scores = score_searches(np.array([1, 3, 6, 20]))
    assert scores["R@1"].tolist() == [1, 0, 0, 0]
    assert scores["R@10"].tolist() == [1, 1, 1, 0]
    assert scores["MRR"].tolist() == pytest.approx([1, 1 / 3, 1 / 6, 1 / 20])
    # As ASL Citizen's evaluation: the gain of the right sign, divided by log2(rank + 1).
    assert scores["DCG"].tolist() == pytest.approx([1, 0.5, 0.35621, 0.22767], abs=1e-5)


@pytest.mark.parametrize("name", ["R@1", "R@5", "MRR", "DCG"])
def test_intervals_are_those_of_scipy(ranks, name):
    twin = stats.bootstrap((score_searches(ranks)[name],), np.mean, method="percentile", rng=1, n_resamples=2000)
    low, high = estimate_intervals(ranks)[name]
    # Two sets of resamples differ by some 3 % of an interval's length.
    length = twin.confidence_interval.high - twin.confidence_interval.low
    assert low == pytest.approx(twin.confidence_interval.low, abs=0.12 * length)
    assert high == pytest.approx(twin.confidence_interval.high, abs=0.12 * length)


def test_the_median_has_an_interval_of_medians():
    low, high = estimate_intervals(np.array([1, 1, 1, 4, 9]))["median_rank"]
    assert (low, high) == (1, 9)
    assert estimate_intervals(np.full(6, 3))["median_rank"] == (3, 3)
    # Of an even number the mean of the two in the middle.
    assert estimate_intervals(np.array([1, 2]))["median_rank"] == (1, 2)


def test_classes_count_alike():
    values, classes = np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 2])
    assert average_classes(values, classes) == 0.5
    intervals = estimate_intervals(np.array([1, 1, 1, 2]), classes=classes)
    assert intervals["class_R@1"] == (0, 1)  # two classes, one of them always wrong
    assert intervals["class_R@5"] == (1, 1)


def test_further_scores_have_intervals_too(ranks):
    found = np.full(len(ranks), 0.25)
    assert estimate_intervals(ranks, more={"P@5": found})["P@5"] == pytest.approx((0.25, 0.25))


def test_a_mean_over_draws_varies_with_draws():
    every = [np.arange(1000)] * 2
    low, high = estimate_mean_over_draws([np.arange(1000) < 100, np.arange(1000) < 900], every)
    # Both draws may be the same one.
    assert low < 0.12
    assert high > 0.88


def test_equal_draws_are_as_sure_as_one():
    found = np.random.default_rng(0).random(100) < 0.5
    one = estimate_mean_over_draws([found], [np.arange(100)])
    # The standard deviation of a mean of 100 such searches is 0.05.
    assert one[1] - one[0] == pytest.approx(4 * 0.05, abs=0.03)
    assert estimate_mean_over_draws([found] * 5, [np.arange(100)] * 5) == pytest.approx(one)


def test_draws_of_other_searches_are_surer_than_one():
    found = np.array([False, True] * 50)
    low, high = estimate_mean_over_draws([found] * 5, np.split(np.arange(500), 5))
    assert low < 0.5 < high
    # The standard deviation of a mean of 500 such searches is 0.022, and that of 100 is 0.05.
    assert 4 * 0.0224 - 0.015 < high - low < 0.15


def test_a_draw_may_miss_all_drawn_searches():
    low, high = estimate_mean_over_draws([np.array([True]), np.array([False])], [np.array([3]), np.array([7])])
    assert (low, high) == (0, 1)


def test_p_of_right_and_wrong_is_mcnemars(ranks):
    rng = np.random.default_rng(3)
    first, second = (rng.random(200) < 0.5).astype(float), (rng.random(200) < 0.6).astype(float)
    found = compare_scores(first, second)
    won, lost = int((second > first).sum()), int((second < first).sum())
    assert found["p"] == pytest.approx(stats.binomtest(won, won + lost).pvalue)
    assert found["difference"] == pytest.approx(second.mean() - first.mean())
    assert found["low"] < found["difference"] < found["high"]


def test_p_of_other_scores_is_that_of_exchanges():
    rng = np.random.default_rng(4)
    first = rng.random(60)
    second = first + rng.normal(0.03, 0.1, 60)
    twin = stats.permutation_test(
        (second - first,), np.sum, permutation_type="samples", n_resamples=9999, vectorized=True, rng=5
    )
    assert compare_scores(first, second)["p"] == pytest.approx(twin.pvalue, abs=0.01)


def test_equal_runs_do_not_differ(ranks):
    for scores in score_searches(ranks).values():
        found = compare_scores(scores, scores)
        assert (found["difference"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)


def test_other_numbers_of_searches_cannot_be_paired(ranks):
    with pytest.raises(ScoresError, match="400 and 399"):
        compare_scores(ranks, ranks[1:])
