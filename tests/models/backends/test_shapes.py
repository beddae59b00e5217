"""Layouts without padding hold each item once, in order, whatever room is left behind them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.backends.shapes import (
    Layout,
    count_flat_numbers,
    find_fitting_size,
    lay_out_clips,
    lay_out_texts,
    list_captured_sizes,
    split,
)

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=9).map(np.array)


def positions_of(layout: Layout) -> list[tuple[list[int], list[int]]]:
    spans = zip(layout.offsets[:-1], layout.offsets[1:], strict=True)
    return [(layout.sources[a:b].tolist(), layout.position_ids[a:b].tolist()) for a, b in spans]


@given(lengths)
def test_texts(lengths: np.ndarray) -> None:
    ids = np.random.default_rng(0).integers(0, 1000, lengths.sum())
    layout = lay_out_texts(ids, lengths)
    texts = np.split(ids, np.cumsum(lengths)[:-1])
    assert positions_of(layout) == [(text.tolist(), list(range(len(text)))) for text in texts]
    assert (layout.rows, layout.items, layout.longest) == (lengths.sum(), len(lengths), lengths.max())


@given(lengths)
def test_clips(lengths: np.ndarray) -> None:
    """The table's rows 0 and 1 are [CLS] and [SEP], row 2 is the first frame of the first clip."""
    layout = lay_out_clips(lengths, sep_position=257)
    frames = np.split(np.arange(lengths.sum()) + 2, np.cumsum(lengths)[:-1])
    assert positions_of(layout) == [([0, 1, *rows.tolist()], [0, 257, *range(1, len(rows) + 1)]) for rows in frames]
    assert (layout.rows, layout.items, layout.longest) == (
        lengths.sum() + 2 * len(lengths),
        len(lengths),
        lengths.max() + 2,
    )


@given(lengths, st.integers(0, 30), st.integers(0, 5))
def test_a_flattened_layout_with_room_to_spare(lengths: np.ndarray, rows: int, items: int) -> None:
    layout = lay_out_clips(lengths, sep_position=99)
    rows, items = layout.rows + rows, layout.items + items
    flat = layout.flatten(rows, items)
    assert len(flat) == count_flat_numbers(rows, items)
    places = split(flat, rows, items)
    assert [len(part) for part in places] == [rows, rows, items + 1, 2 * items + 1]
    np.testing.assert_array_equal(places.sources[: layout.rows], layout.sources)
    np.testing.assert_array_equal(places.position_ids[: layout.rows], layout.position_ids)
    assert places.offsets.tolist() == [*layout.offsets.tolist(), *[layout.rows] * (items - layout.items)]
    means = list(zip(places.bounds[1::2], places.bounds[2::2], strict=True))
    wanted = [(start + 1, end) for start, end in zip(layout.offsets[:-1], layout.offsets[1:], strict=True)]
    assert means == [*wanted, *[(layout.rows, layout.rows)] * (items - layout.items)]
    assert (np.diff(places.bounds) >= 0).all()


@given(st.integers(1, 9000), st.integers(1, 2000))
def test_the_smallest_size_that_fits(rows: int, items: int) -> None:
    for tower in ("text", "pose"):
        sizes = list_captured_sizes(tower)
        size = find_fitting_size(sizes, rows, items)
        fitting = [size for size in sizes if size.rows >= rows and size.items >= items]
        assert size == (min(fitting) if fitting else None)
