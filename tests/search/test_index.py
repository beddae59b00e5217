"""The exact search against a twin that sorts all scores, and what it costs to be in another place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.index import Block, compute_scores, find_best_of_groups, find_top
from tests.search.entries import make_vectors


def sort_all(vectors, ids, query, *, keep):
    """The whole ranking, by float64 scores and then by id, of the rows that are kept."""
    direction = query.astype(np.float64) / np.linalg.norm(query.astype(np.float64))
    scores = [float((vector.astype(np.float64) * direction).sum()) for vector in vectors]
    return sorted((-scores[row], ids[row]) for row in np.flatnonzero(keep))


def make_blocks(vectors, ids, keep, *, sizes):
    blocks, start = [], 0
    for size in sizes:
        part = slice(start, start + size)
        names = ids[part]
        blocks.append(Block(vectors[part], lambda rows, names=names: [names[row] for row in rows], keep[part]))
        start += size
    return blocks


@given(
    seed=st.integers(0, 1000),
    k=st.integers(1, 12),
    distinct=st.integers(1, 30),
    shares=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)
def test_top_k_is_that_of_a_full_sort_with_ties_by_id(seed, k, distinct, shares):
    rng = np.random.default_rng(seed)
    vectors = make_vectors(distinct, seed=seed)[rng.integers(distinct, size=40)]
    ids = [f"id{number:02d}" for number in rng.permutation(40)]
    keep = rng.random(40) < shares if shares < 1 else np.ones(40, bool)
    query = vectors[0] * 3 if seed % 2 else rng.normal(size=16).astype(np.float32)
    found = find_top(make_blocks(vectors, ids, keep, sizes=(7, 0, 20, 13)), query, k)
    expected = sort_all(vectors, ids, query, keep=keep)[:k]
    assert list(zip((-found.scores).tolist(), found.ids, strict=True)) == expected


def test_100_000_vectors_equal_numpys_top_k_with_and_without_filters():
    vectors = make_vectors(100_000, dimensions=64)
    vectors[50_000:50_020] = vectors[7]  # ties
    ids = [f"e{number:06d}" for number in range(100_000)][::-1]
    for seed, share in ((0, 1.0), (1, 0.5), (2, 0.02)):
        keep = np.random.default_rng(seed).random(100_000) < share
        keep[[7, *range(50_000, 50_020)]] = True
        block = Block(vectors, lambda rows: [ids[row] for row in rows], None if share == 1 else keep)
        query = vectors[7] if seed else make_vectors(1, dimensions=64, seed=9)[0]
        found = find_top([block], query, 25)
        scores = np.where(keep, vectors.astype(np.float64) @ query.astype(np.float64), -2)
        by_numpy = np.lexsort((ids, -scores.round(12)))[:25]
        assert found.ids == tuple(ids[row] for row in by_numpy)
        np.testing.assert_allclose(found.scores, scores[by_numpy], atol=1e-7)


def test_a_score_does_not_depend_on_its_place():
    vectors = make_vectors(9000, dimensions=768)
    query = make_vectors(1, dimensions=768, seed=1)[0]
    together = compute_scores(vectors, query)
    for start in (1, 4095, 4096, 8999):
        assert compute_scores(vectors[start : start + 1], query)[0] == together[start]


def test_nothing_is_found_where_there_is_nothing():
    assert find_top([], make_vectors(1)[0], 5).ids == ()
    empty = Block(make_vectors(3), lambda rows: ["a"] * len(rows), np.zeros(3, bool))
    assert find_top([empty], make_vectors(1)[0], 5).ids == ()


class _Row:
    def __init__(self, id, group, score):
        self.id, self.group, self.score = id, group, score


@pytest.mark.parametrize("k", [1, 3, 7, 60])
def test_the_best_of_each_group_is_that_of_the_whole_ranking(k):
    """One group fills the first hundred places, and some rows have none."""
    rows = [_Row(f"r{n:04d}", "big" if n < 100 else ("" if n % 5 == 0 else f"g{n % 40}"), -n) for n in range(600)]
    best = {}
    for row in rows:
        best.setdefault(row.group or row.id, row)
    found = find_best_of_groups(lambda wanted, without: [r for r in rows if r.group not in without][:wanted], k)
    assert [row.id for row in found] == [row.id for row in best.values()][:k]


def test_groups_that_an_index_missed_at_first_take_their_place():
    """In the first round the index overlooks the best row of all."""
    rows = [_Row("best", "A", 0.9), *(_Row(f"b{n}", "B", 0.8 - n / 100) for n in range(20)), _Row("c", "C", 0.1)]

    def find(wanted, without):
        shown = [row for row in rows if row.group not in without and (without or row.id != "best")]
        return shown[:wanted]

    assert [row.id for row in find_best_of_groups(find, 2)] == ["best", "b0"]
    assert [row.id for row in find_best_of_groups(find, 3)] == ["best", "b0", "c"]


@pytest.mark.parametrize("scale", [1e-35, 1e-30, 1e-19, 1e19, 1e30])
def test_the_length_of_a_query_changes_nothing(scale):
    vectors = make_vectors(200)
    block = Block(vectors, lambda rows: [f"e{row:03d}" for row in rows])
    query = vectors[5] - vectors[6]
    expected = find_top([block], query, 7)
    found = find_top([block], (query.astype(np.float64) * scale).astype(np.float32), 7)
    assert found.ids == expected.ids
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
