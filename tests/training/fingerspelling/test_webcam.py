"""Clips as webcams give them: each change does what its name says, and nothing else."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from poses import FeatureOptions, cut_to_signing, extract, find_signing, read
from poses.landmarks import LEFT_HAND, RIGHT_HAND, Point
from poses.points import find_places, make_layout_key
from training.fingerspelling import webcam

GOLDEN = Path(__file__).parents[2] / "golden" / "poses"


@pytest.fixture(scope="module")
def pose():
    return read((GOLDEN / "ase_A.pose").read_bytes())


@pytest.fixture(scope="module")
def frames(pose):
    return len(pose.body.data)


def seen_hands(pose) -> np.ndarray:
    """Whether each hand is seen in each frame: (frames, 2)."""
    places = find_places(make_layout_key(pose.header))
    wrists = [places[Point(hand, "WRIST")] for hand in (LEFT_HAND, RIGHT_HAND)]
    return pose.body.confidence[:, 0, wrists] > 0


def wrist_below_elbow(pose) -> np.ndarray:
    places = find_places(make_layout_key(pose.header))
    y = np.asarray(pose.body.data)[:, 0, :, 1]
    wrist, elbow = (places[Point("POSE_LANDMARKS", f"RIGHT_{name}")] for name in ("WRIST", "ELBOW"))
    return y[:, wrist] - y[:, elbow]


@pytest.mark.parametrize("seconds", [1.0, 2.0])
@pytest.mark.parametrize("change", [webcam.add_lowered_hands, webcam.add_hands_out_of_view])
def test_hands_hang_before_and_after_and_trimming_finds_the_clip(change, seconds, pose, frames):
    changed, count = change(pose, seconds), round(25 * seconds)
    assert len(changed.body.data) == frames + 2 * count
    np.testing.assert_array_equal(np.asarray(changed.body.data)[count : count + frames], np.asarray(pose.body.data))
    below = wrist_below_elbow(changed)
    assert (below[: count - 13] > 0).all()
    assert (below[-count + 13 :] > 0).all()
    signing = find_signing(changed)
    assert count - 15 < signing.start <= count
    assert count + frames - 2 <= signing.end < count + frames + 15


def test_a_raised_hand_moves_smoothly(pose, frames):
    below = wrist_below_elbow(webcam.add_lowered_hands(pose, 1.0))
    steps = np.abs(np.diff(below[:26]))
    assert steps.max() < 0.25 * (below[0] - below[25])
    assert np.abs(below[:12] - below[0]).max() < 0.05 * (below[0] - below[25])


def test_hands_out_of_view_are_not_seen(pose):
    seen = seen_hands(webcam.add_hands_out_of_view(pose, 1.0))
    assert not seen[:25].any()
    assert not seen[-25:].any()
    np.testing.assert_array_equal(seen[25:-25], seen_hands(pose))


def test_a_still_signer_repeats_both_ends(pose, frames):
    values = np.asarray(webcam.add_stillness(pose, 1.0).body.data)
    assert (values[:26] == values[25]).all()
    assert (values[-26:] == values[-26]).all()
    np.testing.assert_array_equal(values[25:-25], np.asarray(pose.body.data))


def test_the_middle_is_held_for_longer(pose, frames):
    values = np.asarray(webcam.hold_longer(pose, 2.0).body.data)
    middle = frames // 2
    assert len(values) == frames + 50
    assert (values[middle : middle + 51] == values[middle]).all()


@pytest.mark.parametrize(("factor", "expected"), [(0.5, 2.0), (1.0, 1.0), (2.0, 0.5)])
def test_another_pace_has_other_numbers_of_frames(factor, expected, pose, frames):
    changed = webcam.change_pace(pose, factor)
    assert len(changed.body.data) == round(frames * expected)
    np.testing.assert_array_equal(changed.body.data[0], pose.body.data[0])


def test_depth_is_removed_and_the_picture_stays(pose):
    values, changed = (np.asarray(p.body.data) for p in (pose, webcam.remove_depth(pose)))
    assert not changed[..., 2].any()
    np.testing.assert_array_equal(changed[..., :2], values[..., :2])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_hands_are_lost_in_a_share_of_the_frames(share, pose, frames):
    lost = seen_hands(pose)[:, 1] & ~seen_hands(webcam.lose_hands(pose, share))[:, 1]
    assert abs(lost.mean() - share) < 0.25
    assert share not in (0.0, 1.0) or lost.all() == bool(share)


def test_noise_moves_what_is_seen_by_its_strength(pose):
    change = np.asarray(webcam.add_noise(pose, 0.02).body.data) - np.asarray(pose.body.data)
    seen = pose.body.confidence != 0
    assert not change[~seen].any()
    _, width = webcam.Frames(pose).measure_shoulders()
    assert change[seen][:, :2].std() == pytest.approx(0.02 * width, rel=0.05)


@pytest.mark.parametrize("turned", [{"roll": 30.0}, {"yaw": 30.0}, {"pitch": 30.0}, {"roll": 20.0, "yaw": -40.0}])
def test_a_turned_signer_keeps_all_distances(turned, pose):
    options = FeatureOptions()
    before, after = (
        extract(p, "signclip_depth", options).reshape(-1, 203, 3)[:, 182:] for p in (pose, webcam.turn(pose, **turned))
    )
    lengths = [np.linalg.norm(hand[:, 8] - hand[:, 5], axis=-1) for hand in (before, after)]
    # Yaw narrows the shoulders in the picture, but not in space, where features measure them.
    np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-3)
    assert np.abs(before - after).max() > 0.1


def test_inputs_are_left_alone_and_seeds_repeat(pose):
    before = np.asarray(pose.body.data).copy()
    for change in (
        partial(webcam.add_lowered_hands, seconds=1.0),
        partial(webcam.lose_hands, share=0.5),
        partial(webcam.add_noise, strength=0.1),
    ):
        first, again, other = change(pose, seed=1), change(pose, seed=1), change(pose, seed=2)
        np.testing.assert_array_equal(np.asarray(first.body.data), np.asarray(again.body.data))
        assert not np.array_equal(np.asarray(first.body.data), np.asarray(other.body.data))
    np.testing.assert_array_equal(np.asarray(pose.body.data), before)
    assert cut_to_signing(pose)[0] is pose
