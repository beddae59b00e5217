"""Padding, and batches of like lengths."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.batching import cut_into_items, pad, split_by_length

lengths_of_items = st.lists(st.integers(0, 12), min_size=1, max_size=10)


@given(lengths_of_items, st.integers(0, 3), st.sampled_from([(), (3,), (2, 2)]))
def test_an_item_stands_first_in_its_row_and_zeros_behind_it(lengths, more, shape):
    chance = np.random.default_rng(0)
    items = [chance.normal(size=(length, *shape)).astype(np.float32) for length in lengths]
    longest = max(lengths) + more
    padded, mask = pad(items, dtype=np.float64, longest=longest if more else None)
    assert padded.dtype == np.float64
    assert mask.dtype == np.bool_
    assert padded.shape == (len(items), longest, *shape)
    for row, real, item in zip(padded, mask, items, strict=True):
        assert real.tolist() == [place < len(item) for place in range(longest)]
        np.testing.assert_array_equal(row[: len(item)], item)
        assert not row[len(item) :].any()


def test_ids_keep_their_values_in_a_wider_format():
    padded, mask = pad([np.array([2**31 - 1, 1], np.int32), np.array([7], np.int32)], dtype=np.int64)
    assert padded.tolist() == [[2**31 - 1, 1], [7, 0]]
    assert mask.tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize(
    ("items", "longest"),
    [([], None), ([np.ones(3)], 2), ([np.ones((2, 3)), np.ones((2, 4))], None), ([np.ones(2), np.ones((2, 2))], None)],
)
def test_what_does_not_fit_one_batch_is_refused(items, longest):
    with pytest.raises(ValueError, match=r"zero-size|broadcast|sequence"):
        pad(items, dtype=np.float32, longest=longest)


@given(lengths_of_items, st.integers(1, 40))
def test_every_item_is_in_one_batch_and_no_batch_is_too_large(lengths, positions_at_once):
    counts = np.array(lengths)
    batches = list(split_by_length(counts, positions_at_once=positions_at_once))
    order = np.concatenate(batches)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert (np.diff(counts[order]) >= 0).all()
    for rows in batches:
        assert len(rows) == 1 or len(rows) * counts[rows].max() <= positions_at_once
    # No batch could have taken the next one's first item as well.
    for rows, later in itertools.pairwise(batches):
        assert (len(rows) + 1) * counts[later[0]] > positions_at_once


def test_of_no_items_there_are_no_batches():
    assert list(split_by_length(np.zeros(0, np.int64), positions_at_once=8)) == []


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
def test_items_are_cut_from_arrays_that_are_cut_anywhere(lengths: list[int], data: st.DataObject) -> None:
    flat = np.arange(sum(lengths))
    items = np.split(flat, np.cumsum(lengths)[:-1])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(flat)), max_size=8)))
    got = cut_into_items(np.split(flat, cuts), np.array(lengths))
    assert [item.tolist() for item in got] == [item.tolist() for item in items]
    assert cut_into_items(items, np.array(lengths)) is items
