"""Recordings whose letters are known: where they are, what lies between, and that a seed draws the same again."""

from __future__ import annotations

import numpy as np
import pytest

from poses import find_warnings
from search.spotter import Spotter
from search.spotting import measure_iou
from tests.poses.make_poses import build_pose
from training.fingerspelling.recordings import FPS, draw_recording
from training.fingerspelling.spotting import Counts, WindowVectors, choose_between, count_finds, summarize_counts


@pytest.fixture(scope="module")
def words():
    clips = [
        (build_pose(frames, seed=frames), letter) for frames, letter in ((14, "A"), (20, "B"), (17, "C"), (9, "D"))
    ]
    return [clips[:2], clips[2:]]


def test_letters_are_where_the_recording_says(words):
    drawn = draw_recording(words, seed=3)
    assert [span.letter for span in drawn.spans] == ["A", "B", "C", "D"]
    assert float(drawn.pose.body.fps) == FPS
    for span, (clip, _) in zip(drawn.spans, [clip for word in words for clip in word], strict=True):
        np.testing.assert_array_equal(drawn.pose.body.data.data[span.start : span.stop], clip.body.data.data)
        np.testing.assert_array_equal(drawn.pose.body.confidence[span.start : span.stop], clip.body.confidence)


def test_hands_come_up_before_a_word_and_move_on_within_it(words):
    drawn = draw_recording(words, seed=3)
    first, second, third, _ = drawn.spans
    assert first.start > 0.5 * FPS
    assert 0.2 * FPS <= second.start - first.stop <= 0.5 * FPS
    assert third.start - second.stop > 1.0 * FPS
    assert np.isfinite(drawn.pose.body.data.data).all()
    # On the way from one letter to the next a hand is between where it was and where it will be.
    between = drawn.pose.body.data.data[first.stop : second.start, 0, 33 + 468, :2]
    ends = drawn.pose.body.data.data[[first.stop - 1, second.start], 0, 33 + 468, :2]
    assert (between >= ends.min(axis=0) - 1e-3).all()
    assert (between <= ends.max(axis=0) + 1e-3).all()
    assert not any("NaN" in warning for warning in find_warnings(drawn.pose))


def test_a_seed_draws_the_same_and_another_seed_another(words):
    once, again, other = (draw_recording(words, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once.pose.body.data.data, again.pose.body.data.data)
    assert once.spans == again.spans
    assert once.spans != other.spans


def test_a_longer_lead_moves_everything_behind_it(words):
    one, two = draw_recording(words, seed=1, lead_s=1.0), draw_recording(words, seed=1, lead_s=2.0)
    assert len(two.pose.body.data) > len(one.pose.body.data)
    assert one.spans[0].start >= 1.0 * FPS
    assert two.spans[0].start >= 2.0 * FPS


class _Finds(Spotter):
    def __init__(self, finds) -> None:
        self._finds = finds

    def find(self, fps):
        return self._finds


def test_each_letter_counts_once_and_only_where_it_is(words):
    from search.annotations import Find

    drawn = draw_recording(words, seed=3)
    a, b, c, d = drawn.spans

    def find(span, label, moved=0.0, score=5.0):
        return Find(span.start / FPS + moved, span.stop / FPS + moved, label, score)

    # The four letters count as four words of one letter.
    finds = [find(a, "A"), find(a, "A", 0.1), find(b, "A"), find(c, "C", 0.3), find(d, "D", 9.0)]
    assert count_finds(drawn, _Finds(finds)) == Counts(right=1, found=5, letters=4, words=1)
    whole = [find(a, "A"), find(b, "B"), find(c, "D")]
    assert count_finds(drawn, _Finds(whole)).right == 2


def test_windows_between_letters_share_little_with_any_of_them(words):
    drawn = draw_recording(words, seed=3)
    places = np.array([[span.start, span.stop] for span in drawn.spans] + [[0, 12]], dtype=np.int64)
    vectors = np.arange(len(places), dtype=np.float32)[:, None]
    assert choose_between(WindowVectors(places, vectors), drawn.spans).tolist() == [[4.0]]
    assert measure_iou((0, 12), (drawn.spans[0].start, drawn.spans[0].stop)) < 0.15


def test_counts_become_shares():
    scores = [("ase", 0.05, Counts(8, 10, 16, 1)), ("gsg", 0.05, Counts(8, 10, 16, 3))]
    scores += [(sign, rate, Counts(0, 0, 16, 0)) for sign in ("ase", "gsg") for rate in (0.02, 0.01, 0.005)]
    rows = summarize_counts(scores)
    assert rows["5 %"] == {"precision": 80.0, "recall": 50.0, "words": 50.0, "letters": 32}
    assert rows["1 %"]["precision"] == 0
