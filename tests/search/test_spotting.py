"""Windows to segments: the best stay, a held sign is one, and the order of the windows changes nothing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search.spotting import Segment, SpottingRules, find_segments, measure_iou

RULES = SpottingRules(threshold=3.0, release=2.0, bridge_frames=4)


def _spot(rows, rules=RULES):
    windows = np.array([row[:2] for row in rows], dtype=np.int64).reshape(-1, 2)
    labels = np.array([row[2] for row in rows], dtype=np.int64)
    return find_segments(windows, labels, np.array([row[3] for row in rows], dtype=float), rules)


def test_the_best_of_overlapping_windows_stays():
    assert _spot([(0, 10, 0, 3.5), (3, 13, 1, 5.0), (6, 16, 0, 4.0)]) == [Segment(3, 13, 1, 5.0)]


def test_what_is_under_the_threshold_is_no_find():
    assert _spot([(0, 10, 0, 2.9), (20, 30, 1, -np.inf)]) == []
    assert _spot([]) == []


def test_a_short_window_inside_a_long_one_does_not_stay_beside_it():
    assert _spot([(0, 50, 0, 6.0), (10, 20, 1, 5.0)]) == [Segment(0, 50, 0, 6.0)]


def test_neighbours_that_hardly_overlap_both_stay():
    assert _spot([(0, 10, 0, 4.0), (8, 18, 1, 5.0)]) == [Segment(0, 10, 0, 4.0), Segment(8, 18, 1, 5.0)]


def test_a_sign_that_is_held_is_found_once():
    held = [(start, start + 10, 0, 4.0 if start % 12 == 0 else 2.5) for start in range(0, 40, 3)]
    assert _spot(held) == [Segment(0, 46, 0, 4.0)]


def test_a_sign_that_lets_go_is_found_twice():
    twice = [(0, 10, 0, 4.0), (3, 13, 0, 2.5), (20, 30, 0, 2.5), (23, 33, 0, 4.0)]
    assert [found.start for found in _spot(twice)] == [0, 23]
    # Another sign between two finds also ends the first.
    between = [(0, 10, 0, 4.0), (9, 19, 1, 4.0), (18, 28, 0, 4.0), *((s, s + 10, 0, 2.5) for s in range(3, 18, 3))]
    assert [found.label for found in _spot(between)] == [0, 1, 0]


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_the_order_of_windows_changes_nothing_and_a_shift_shifts(seed, shift):
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 200, 60)
    windows = np.column_stack([starts, starts + rng.choice([12, 25, 50], 60)]).astype(np.int64)
    labels = rng.integers(0, 4, 60)
    # Windows of one place with one score are the same window.
    scores = rng.permutation(60) / 10
    found = find_segments(windows, labels, scores, RULES)
    order = rng.permutation(60)
    assert find_segments(windows[order], labels[order], scores[order], RULES) == found
    moved = find_segments(windows + shift, labels, scores, RULES)
    assert moved == [Segment(one.start + shift, one.stop + shift, one.label, one.score) for one in found]


def test_overlap_is_measured_as_the_common_share():
    assert measure_iou((0, 2), (1, 3)) == 1 / 3
    assert measure_iou((0, 1), (1, 2)) == 0
    assert measure_iou((0, 4), (1, 3)) == 0.5
