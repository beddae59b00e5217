"""Probes on clusters whose answer is support, and against slow twins."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from evaluation import probing
from evaluation.errors import ScoresError
from evaluation.probing import (
    LabelledVectors,
    compare_class_means,
    compare_mean_dot_products,
    fit_logistic_regression,
    vote_nearest_clips,
)
from evaluation.shots import PROBES, LearnerOptions, draw_shots, probe


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Several threads would wait for each other longer than these small sums take."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _clusters(clips_each, *, classes=4, spread=0.05, seed=0):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(classes, 6))
    labels = np.repeat(np.arange(classes), clips_each)
    return LabelledVectors(centers[labels] + rng.normal(0, spread, (len(labels), 6)), labels)


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("shots", [1, 5, "all"])
def test_clusters_are_told_apart(name, shots):
    row = probe(name, _clusters(8), _clusters(20, seed=1), shots=shots, seeds=range(3))
    assert (row["classes"], row["clips"]) == (4, 80)
    assert row["mean"]["R@1"] == 1.0
    assert row["mean"]["median_rank"] == 1.0
    assert len(row["by_seed"]) == (1 if shots == "all" else 3)
    assert row["spread"]["R@1"] == (None if shots == "all" else 0.0)


def test_one_shot_of_two_kinds_is_the_same():
    support, query = _clusters(1, spread=1.0), _clusters(30, spread=1.0, seed=1)
    assert vote_nearest_clips(support, query).ranks.tolist() == compare_class_means(support, query).ranks.tolist()


def test_noise_cannot_be_learned():
    rng = np.random.default_rng(7)
    support = LabelledVectors(rng.normal(size=(400, 5)), np.arange(400) % 20)
    query = LabelledVectors(rng.normal(size=(2000, 5)), np.arange(2000) % 20)
    for name in PROBES:
        row = probe(name, support, query, shots=10, seeds=range(2))
        assert row["mean"]["R@1"] == pytest.approx(0.05, abs=0.02)
        assert row["mean"]["mean_rank"] == pytest.approx(10.5, abs=0.6)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 7))
def test_votes_are_counted_as_a_slow_twin_counts(seed, neighbours, per_chunk):
    rng = np.random.default_rng(seed)
    support = LabelledVectors(rng.normal(size=(12, 3)), np.r_[0, 1, 2, rng.integers(0, 3, 9)])
    query = LabelledVectors(rng.normal(size=(7, 3)), rng.integers(0, 3, 7))
    scaler = StandardScaler().fit(support.vectors)
    places, clips = scaler.transform(query.vectors), scaler.transform(support.vectors)
    expected = []
    for place, own in zip(places, query.classes, strict=True):
        distances = ((clips - place) ** 2).sum(axis=1)
        votes = Counter(support.classes[np.argsort(distances)[:neighbours]].tolist())
        order = sorted(range(3), key=lambda c, v=votes, d=distances: (-v[c], d[support.classes == c].min()))
        expected.append(order.index(own) + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probing, "DISTANCES_AT_ONCE", per_chunk * 12)
        assert vote_nearest_clips(support, query, neighbours=neighbours).ranks.tolist() == expected


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_draws_take_the_shots_of_each_class(classes, shots, keep_one, seed):
    classes = np.array(classes)
    drawn, rest = draw_shots(classes, shots, seed=seed, keep_one=keep_one)
    assert sorted([*drawn, *rest]) == list(range(len(classes)))
    for number, count in zip(*np.unique(classes, return_counts=True), strict=True):
        assert (classes[drawn] == number).sum() == min(shots, count - keep_one)


def test_draws_differ_by_seed_and_repeat():
    classes = np.repeat([0, 1], 50)
    first, again, other = (draw_shots(classes, 5, seed=seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_drawn_clips_are_not_asked_for():
    row = probe("nearest_clips", _clusters(6), None, shots=2, seeds=range(2))
    assert row["clips"] == 4 * 4
    assert probe("nearest_clips", _clusters(1), None, shots=1, seeds=[0]) is None


def test_classes_nobody_showed_are_not_asked_for():
    support, query = _clusters(3, classes=2), _clusters(5)
    assert probe("nearest_means", support, query, shots=3, seeds=[0])["clips"] == 10
    with pytest.raises(ScoresError, match="10 of 20 clips"):
        compare_class_means(support, query)


def test_one_class_is_always_right():
    assert fit_logistic_regression(_clusters(3, classes=1), _clusters(5, classes=1)).ranks.tolist() == [1] * 5


def test_a_fit_that_did_not_converge_says_so():
    assert fit_logistic_regression(_clusters(5, spread=2.0), _clusters(5), steps=1).notes == {"converged": False}


# scikit-learn warns of one clip a class, which is what one shot means.
@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
@pytest.mark.parametrize("shots", [1, 3])
def test_sqrt_gives_the_authors_numbers(shots):
    rng = np.random.default_rng(shots)
    support = LabelledVectors(rng.normal(size=(30 * shots, 4)), np.arange(30 * shots) % 30)
    query = LabelledVectors(rng.normal(size=(200, 4)), np.arange(200) % 30)
    # As test_recognition_few_shot_knn.py puts it.
    neighbours = round(math.sqrt(len(support)))
    steps = [("scaler", StandardScaler()), ("knn", KNeighborsClassifier(n_neighbors=neighbours))]
    votes = Pipeline(steps).fit(support.vectors, support.classes).predict_proba(query.vectors)
    ranks = vote_nearest_clips(support, query, neighbours="sqrt").ranks
    for k in (1, 5, 10):
        expected = top_k_accuracy_score(query.classes, votes, labels=np.arange(30), k=k)
        assert (ranks <= k).mean() == pytest.approx(expected)


def test_neighbours_are_recorded_and_change_the_vote():
    support, query = _clusters(4, spread=2.0), _clusters(50, spread=2.0, seed=1)
    rows = {
        n: probe("nearest_clips", support, query, shots=4, seeds=[0], options=LearnerOptions(n))
        for n in ("shots", "sqrt", 4)
    }
    assert [row["neighbours"] for row in rows.values()] == ["shots", "sqrt", 4]
    assert rows["shots"]["mean"] == rows[4]["mean"] != rows["sqrt"]["mean"]
    assert probe("nearest_means", support, query, shots=4, seeds=[0], options=LearnerOptions(3))["neighbours"] is None


def test_mean_dot_products_are_the_authors_scores():
    rng = np.random.default_rng(5)
    support, query = _clusters(4, spread=1.0), _clusters(10, spread=1.0, seed=1)
    means = np.stack([support.vectors[support.classes == number].mean(axis=0) for number in range(4)])
    order = np.argsort(-(query.vectors @ means.T), axis=1)
    expected = [row.tolist().index(own) + 1 for row, own in zip(order, query.classes, strict=True)]
    assert compare_mean_dot_products(support, query).ranks.tolist() == expected
    # Raw: a class of longer vectors is preferred.
    longer = LabelledVectors(support.vectors * np.where(support.classes == 2, 100, 1)[:, None], support.classes)
    own = LabelledVectors(means[[2]] + rng.normal(0, 0.01, (1, 6)), np.array([2]))
    assert compare_mean_dot_products(longer, own).ranks.tolist() == [1]


def test_trained_probes_name_as_well_as_the_regression():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(30, 32))
    support, query = (
        LabelledVectors(centers[np.arange(count) % 30] + rng.normal(0, 1.7, (count, 32)), np.arange(count) % 30)
        for count in (450, 600)
    )
    exact = (fit_logistic_regression(support, query).ranks == 1).mean()
    assert 0.6 < exact < 0.95
    for name in ("linear", "mlp"):
        found = PROBES[name](support, query).ranks
        assert (found == 1).mean() == pytest.approx(exact, abs=0.04)
    assert PROBES["linear"](support, query).ranks.tolist() == PROBES["linear"](support, query).ranks.tolist()


def test_a_hidden_layer_learns_what_no_linear_one_can():
    rng = np.random.default_rng(0)
    vectors = rng.uniform(-1, 1, (600, 2))
    apart = LabelledVectors(vectors, (vectors[:, 0] * vectors[:, 1] > 0).astype(np.int64))
    support, query = apart[np.arange(400)], apart[np.arange(400, 600)]
    assert (PROBES["linear"](support, query).ranks == 1).mean() < 0.7
    assert (PROBES["mlp"](support, query).ranks == 1).mean() > 0.9


def test_a_dimension_that_never_changes_harms_no_probe():
    support, query = (
        LabelledVectors(np.c_[part.vectors, np.full(len(part), 7.0)], part.classes)
        for part in (_clusters(8), _clusters(20, seed=1))
    )
    assert (PROBES["linear"](support, query).ranks == 1).all()


def test_trained_probes_do_not_disturb_other_draws():
    torch.manual_seed(3)
    expected = torch.rand(2).tolist()
    torch.manual_seed(3)
    PROBES["linear"](_clusters(2), _clusters(1))
    assert torch.rand(2).tolist() == expected


def test_shots_have_an_interval_over_draws_and_clips():
    row = probe("nearest_means", _clusters(6, spread=0.8), _clusters(30, spread=0.8, seed=1), shots=1, seeds=range(4))
    low, high = row["interval"]["R@1"]
    assert low < row["mean"]["R@1"] < high
    assert row["interval"]["R@5"] == (1, 1)  # four classes
