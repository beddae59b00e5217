"""Naming letters, the resting hand, and the nearest-neighbour baseline."""

import numpy as np
import pytest

from models.hand_geometry import LEFT_HAND_START
from training.fingerspelling.nearest import measure_warped_distances, rank_by_nearest
from training.fingerspelling.scoring import (
    add_resting_left_hand,
    bootstrap_interval,
    rank_letters,
    rank_letters_of_clips,
    summarize_ranks,
)


def _clip(frames, *, seed, left=False):
    rng = np.random.default_rng(seed)
    shape = rng.normal(0, 0.1, (2, 21, 3)) + np.array([[[0.4, 0.2, 0]], [[-0.4, 0.2, 0]]])
    hands = shape + rng.normal(0, 0.002, (frames, 2, 21, 3))
    hands[:, 0] *= left
    features = np.zeros((frames, 609), dtype=np.float32)
    features[:, LEFT_HAND_START:] = hands.reshape(frames, -1)
    return features


def test_ranks_with_shared_and_own_prompts():
    poses = np.array([[1.0, 0.0], [0.0, 1.0]])
    texts = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    assert rank_letters(poses, texts, np.array([2, 1])).tolist() == [1, 2]
    assert rank_letters_of_clips(poses, np.stack([texts, texts[::-1]]), np.array([2, 0])).tolist() == [1, 3]


def test_summary():
    assert summarize_ranks(np.array([1, 1, 4, 9])) == {"R@1": 50.0, "R@5": 75.0, "median_rank": 2.5}


def test_spread_is_over_whole_groups():
    assert bootstrap_interval(np.array([1.0, 1.0, 1.0]), ["a", "a", "b"]) == (1.0, 1.0)
    low, high = bootstrap_interval(np.array([1.0] * 50 + [0.0] * 50), ["a"] * 50 + ["b"] * 50)
    assert (low, high) == (0.0, 1.0)


def test_resting_hand_is_added_where_none_is():
    clips = [_clip(9, seed=1), _clip(7, seed=2, left=True), _clip(5, seed=3)]
    changed = add_resting_left_hand(clips)
    left = slice(LEFT_HAND_START, LEFT_HAND_START + 63)
    assert (changed[1] == clips[1]).all()
    for before, after in ((clips[0], changed[0]), (clips[2], changed[2])):
        hand = after[:, left].reshape(-1, 21, 3)
        assert (before[:, left] == 0).all()
        assert (hand[:, 9, 1] > hand[:, 0, 1]).all()
        assert hand.std(axis=0).max() < 0.05
        np.testing.assert_array_equal(np.delete(after, np.r_[left], axis=1), np.delete(before, np.r_[left], axis=1))
    np.testing.assert_array_equal(add_resting_left_hand(clips)[0], changed[0])


def test_nearest_neighbour_knows_a_clip_again():
    support = [_clip(20, seed=seed, left=seed % 2 == 0) for seed in range(6)]
    query = [np.repeat(clip, 2, axis=0) for clip in support]
    distances = measure_warped_distances(query, support)
    assert distances.argmin(axis=1).tolist() == list(range(6))
    assert distances.diagonal().max() < 0.05
    letters = np.arange(6)
    assert rank_by_nearest(distances, letters, support_letters=letters, count=6).tolist() == [1] * 6


def test_letters_nobody_shows_come_last():
    distances = np.array([[0.1, 0.5], [0.2, 0.2]])
    ranks = rank_by_nearest(distances, np.array([3, 1]), support_letters=np.array([0, 1]), count=4)
    assert ranks.tolist() == [4, 2]


def test_warping_forgives_pace():
    clip = _clip(24, seed=5)
    slow = np.concatenate([clip[:12], np.repeat(clip[12:], 3, axis=0)])
    assert measure_warped_distances([slow], [clip])[0, 0] == pytest.approx(0, abs=0.05)
