"""Tiles against sorting everything, and vectors against the matrix of their products."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.retrieval import (
    measure_pose_to_text,
    measure_text_to_pose,
    number_labels,
    summarize_clips,
    summarize_texts,
)
from search.ranking import TOP, TileSize, rank
from search.scoring import DotProducts, Matrix, WithinGroups, round_to_fixed_point

CASES = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())


def _slow_rank(scores, query_labels, candidate_labels):
    order = [sorted(range(len(row)), key=lambda j, row=row: (-row[j], j)) for row in scores.tolist()]
    ranks = [
        1 + [candidate_labels[j] for j in found].index(label)
        for found, label in zip(order, query_labels.tolist(), strict=True)
    ]
    return ranks, [found[:TOP] for found in order]


@st.composite
def searches(draw):
    """A small search with many equal scores, and a size of tiles."""
    queries, candidates = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = chance.integers(0, draw(st.integers(1, 30)), (queries, candidates)).astype(float)
    candidate_labels = chance.integers(0, 6, candidates)
    query_labels = chance.choice(candidate_labels, queries)
    return scores, query_labels, candidate_labels, TileSize(draw(st.integers(1, 13)), draw(st.integers(1, 41)))


@given(searches())
def test_any_tiles_rank_like_sorting(search):
    scores, query_labels, candidate_labels, size = search
    ranking = rank(Matrix(scores), query_labels, candidate_labels, size=size)
    ranks, top = _slow_rank(scores, query_labels, candidate_labels)
    assert ranking.ranks.tolist() == ranks
    assert ranking.top.tolist() == top
    np.testing.assert_array_equal(ranking.top_scores, np.take_along_axis(scores, ranking.top, axis=1))
    for row, best in enumerate(ranking.relevant_scores):
        others = scores[row][candidate_labels != query_labels[row]]
        assert ranking.ties[row] == (others == best).sum()


@given(searches(), st.integers(1, 4))
def test_within_groups_the_others_are_not_there(search, groups):
    scores, _, _, size = search
    candidate_groups = np.arange(scores.shape[1]) % groups
    query_groups = candidate_groups[np.arange(len(scores)) % scores.shape[1]]
    # Every candidate has a label of its own, and the last of its group is right.
    right = np.array([np.flatnonzero(candidate_groups == group)[-1] for group in query_groups])
    inside = WithinGroups(Matrix(scores), query_groups, candidate_groups)
    ranking = rank(inside, right, np.arange(scores.shape[1]), size=size)
    for query, group in enumerate(query_groups):
        members = np.flatnonzero(candidate_groups == group)
        alone = rank(Matrix(scores[[query]][:, members]), right[[query]], members)
        assert ranking.ranks[query] == alone.ranks[0]
        assert ranking.top[query, : len(members)].tolist() == members[alone.top[0]].tolist()


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_chunked_vectors_equal_unchunked_to_the_bit(seed, rows, columns):
    chance = np.random.default_rng(seed)
    queries = chance.normal(size=(17, 33)).astype(np.float32)
    candidates = chance.normal(size=(40, 33)).astype(np.float32)
    candidates[chance.integers(0, 40, 10)] = candidates[3]  # copies tie, wherever in a block they lie
    candidate_labels = chance.integers(0, 5, 40)
    query_labels = chance.choice(candidate_labels, 17)
    scores = DotProducts(queries, candidates)
    whole = rank(scores, query_labels, candidate_labels)
    chunked = rank(scores, query_labels, candidate_labels, size=TileSize(rows, columns))
    for name in ("ranks", "relevant_scores", "top", "top_scores", "ties"):
        assert getattr(whole, name).tobytes() == getattr(chunked, name).tobytes()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed{case['seed']}")
@pytest.mark.parametrize("size", [TileSize(1, 1), TileSize(3, 4), TileSize()])
def test_the_authors_numbers_in_any_tiles(case, size):
    scores, (labels, firsts) = np.array(case["scores"]), number_labels(case["labels"])
    texts = rank(Matrix(scores[firsts]), labels[firsts], labels, size=size)
    clips = rank(Matrix(scores[firsts].T), labels, labels[firsts], size=size)
    by_text, by_clip = case["expected"]["t2v"], case["expected"]["v2t"]
    assert list(summarize_texts(texts, labels[firsts], labels).values()) == list(by_text.values())
    assert list(summarize_clips(clips.ranks).values()) == list(by_clip.values())


def test_vectors_give_what_their_products_give():
    chance = np.random.default_rng(4)
    texts, clips = chance.normal(size=(5, 8)), chance.normal(size=(30, 8))
    labels = np.arange(30) % 5
    scores = texts @ clips.T
    names = [str(label) for label in labels]
    by_text = rank(DotProducts(texts, clips), np.arange(5), labels)
    by_clip = rank(DotProducts(clips, texts), labels, np.arange(5))
    # A square matrix with a text per clip holds the same searches.
    assert summarize_texts(by_text, np.arange(5), labels) == measure_text_to_pose(scores[labels], names)
    assert summarize_clips(by_clip.ranks) == measure_pose_to_text(scores[labels], names)


def test_fixed_point_is_as_fine_as_float32():
    chance = np.random.default_rng(5)
    queries, candidates = chance.normal(size=(40, 768)), chance.normal(size=(50, 768))
    scores = DotProducts(queries, candidates).compute_tile(slice(0, 40), slice(0, 50))
    exact = queries @ candidates.T
    assert np.abs(scores - exact).max() < 2e-6 * np.abs(exact).max()


@pytest.mark.parametrize("dim", [1, 2, 128, 768, 4096])
def test_sums_of_the_largest_components_stay_exact(dim):
    numbers, unit = round_to_fixed_point(np.full((1, dim), 0.7))
    whole = sum(int(number) ** 2 for number in numbers[0])
    assert whole <= 2**53
    assert DotProducts(np.full((1, dim), 0.7), np.full((1, dim), 0.7)).compute_pairs(np.array([0]), np.array([0])) == (
        whole * unit**2
    )


def test_small_integers_are_kept_as_they_are():
    vectors = np.array([[3.0, -7.0], [0.0, 5.0]])
    np.testing.assert_array_equal(
        DotProducts(vectors, vectors).compute_tile(slice(0, 2), slice(0, 2)), vectors @ vectors.T
    )


def test_vectors_of_zeros_tie():
    ranking = rank(DotProducts(np.zeros((1, 4)), np.zeros((3, 4))), np.array([1]), np.array([0, 1, 1]))
    assert (ranking.ranks.tolist(), ranking.top.tolist()) == ([2], [[0, 1, 2]])


def test_memory_is_bounded_by_the_tile():
    chance = np.random.default_rng(6)
    vectors = chance.normal(size=(6000, 16)).astype(np.float32)
    labels = np.arange(6000)
    size = TileSize(256, 512)
    tracemalloc.start()
    rank(DotProducts(vectors, vectors), labels, labels, size=size)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    whole_bytes, tile_bytes, held_bytes = 6000 * 6000 * 8, 256 * 512 * 8, 6000 * 16 * 4 * 2
    results_bytes = 6000 * 8 * (2 * TOP + 12)
    assert peak < 5 * tile_bytes + held_bytes + results_bytes
    assert peak < whole_bytes / 25


@pytest.mark.parametrize(
    ("queries", "candidates", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "one dim"),
        (np.array([[np.nan]]), np.zeros((1, 1)), "NaN"),
        (np.array([[np.inf]]), np.zeros((1, 1)), "infinity"),
    ],
)
def test_what_cannot_be_scored(queries, candidates, message):
    with pytest.raises(ValueError, match=message):
        DotProducts(queries, candidates)


def test_what_cannot_be_ranked():
    with pytest.raises(ValueError, match="1 of 2 queries"):
        rank(Matrix(np.zeros((2, 2))), np.array([0, 5]), np.array([0, 1]))
    with pytest.raises(ValueError, match="3 candidates"):
        rank(Matrix(np.zeros((2, 2))), np.array([0, 1]), np.array([0, 1, 2]))


def test_labels_are_numbered_by_first_appearance():
    numbers, firsts = number_labels(["b", "a", "b", "a\0", "a"])
    assert (numbers.tolist(), firsts.tolist()) == ([0, 1, 0, 2, 1], [0, 1, 3])
