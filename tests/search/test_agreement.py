"""SignCLIPScore: pairs by their formulas, corpora with an interval that holds what it promises."""

import numpy as np
import pytest

from search.agreement import score_pairs, summarize_scores


def test_pairs_are_scored_by_the_formulas():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(6, 8)) * 7, rng.normal(size=(6, 8))
    scores = score_pairs(first, second)
    for row in range(6):
        dot = sum(a * b for a, b in zip(first[row], second[row], strict=True))
        assert scores.dot[row] == pytest.approx(dot)
        assert scores.cosine[row] == pytest.approx(dot / np.linalg.norm(first[row]) / np.linalg.norm(second[row]))
        assert scores.l2[row] == pytest.approx(np.sqrt(((first[row] - second[row]) ** 2).sum()))


def test_a_hypothesis_that_is_its_reference_gets_the_best_of_each():
    vectors = np.random.default_rng(0).normal(size=(3, 8))
    scores = score_pairs(vectors, vectors)
    np.testing.assert_allclose(scores.cosine, 1)
    np.testing.assert_allclose(scores.l2, 0)
    assert score_pairs(np.zeros((1, 4)), np.ones((1, 4))).cosine.tolist() == [0.0]


def test_the_interval_holds_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        found = summarize_scores(rng.normal(0.4, 0.1, 60))
        held += found.low <= 0.4 <= found.high
    assert 88 <= held <= 99
    same = summarize_scores(np.full(5, 0.25))
    assert (same.mean, same.low, same.high) == (0.25, 0.25, 0.25)
    assert summarize_scores(np.arange(9.0)) == summarize_scores(np.arange(9.0))
