"""Trimming: where somebody signs in a clip, and what is left of the clip then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poses import FeatureOptions, PersonError, cut_frames, cut_to_signing, extract, find_signing, report
from poses.file_pose import FilePose
from poses.flip import mirror
from poses.reading import read
from poses.trim import MARGIN_FRAMES, Signing
from tests.poses.make_poses import hold, raise_in, set_heights

WRISTS = ("POSE_LANDMARKS/LEFT_WRIST", "POSE_LANDMARKS/RIGHT_WRIST")
ELBOWS = ("POSE_LANDMARKS/LEFT_ELBOW", "POSE_LANDMARKS/RIGHT_ELBOW")
HANDS = ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")
ALWAYS = slice(None)
TRIMMED = FeatureOptions(trim="auto")


def place(pose, name: str) -> int:
    return pose.header.get_point_index(*name.split("/"))


def test_a_clip_is_cut_to_two_frames_around_its_raised_hand(make_pose):
    pose = hold(make_pose(60), right=raise_in(60, *range(20, 31)))
    assert find_signing(pose) == Signing(18, 33)
    cut, signing = cut_to_signing(pose)
    assert signing == Signing(18, 33)
    np.testing.assert_array_equal(cut.body.data.data, pose.body.data.data[18:33])
    np.testing.assert_array_equal(cut.body.confidence, pose.body.confidence[18:33])
    assert (cut.body.fps, len(pose.body.data)) == (25, 60)


def test_either_hand_counts_and_a_pause_between_is_kept(make_pose):
    assert find_signing(hold(make_pose(60), left=raise_in(60, 40), right=raise_in(60, 20))) == Signing(18, 43)
    assert find_signing(hold(make_pose(60), left=raise_in(60, 20), right=raise_in(60, 40))) == Signing(18, 43)


def test_the_margin_ends_where_the_clip_does(make_pose):
    assert find_signing(hold(make_pose(20), right=raise_in(20, 2, 18))) == Signing(0, 20)
    assert cut_to_signing(pose := hold(make_pose(20), right=200))[0] is pose


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ({HANDS[0]: ALWAYS, HANDS[1]: ALWAYS}, Signing(18, 33)),
        ({HANDS[1]: list(range(18, 33))}, Signing(18, 33)),
        ({WRISTS[1]: ALWAYS}, Signing(18, 33)),
        ({WRISTS[1]: [20, 30]}, Signing(18, 33)),
        ({WRISTS[1]: [20], HANDS[1]: [20]}, Signing(19, 33)),
        ({ELBOWS[0]: ALWAYS, WRISTS[0]: ALWAYS, HANDS[0]: ALWAYS}, Signing(18, 33)),
        ({ELBOWS[1]: [20, 21]}, Signing(20, 33)),
        ({ELBOWS[0]: ALWAYS, ELBOWS[1]: ALWAYS}, Signing(0, 60, "no wrist and its elbow are seen in the same frame")),
        ({ELBOWS[1]: ALWAYS}, Signing(0, 60, "no wrist is above its elbow in any frame")),
        ({WRISTS[1]: ALWAYS, HANDS[1]: ALWAYS}, Signing(0, 60, "no wrist is above its elbow in any frame")),
    ],
    ids=[
        *("hands lost", "hand lost in the middle", "only the hand's wrist", "wrist lost at the ends", "both lost"),
        *("one-handed", "elbow lost", "no elbows", "no elbow at the raised hand", "no raised hand"),
    ],
)
def test_what_is_not_seen_does_not_count(missing, expected, make_pose):
    pose = hold(make_pose(60), right=raise_in(60, *range(20, 31)))
    for name, frames in missing.items():
        component, _, point = name.partition("/")
        start = pose.header.get_point_index(component, point or "WRIST")
        pose.body.confidence[frames, :, start : start + (1 if point else 21)] = 0
    assert find_signing(pose) == expected


def test_the_bodys_wrist_outweighs_the_hands(make_pose):
    """A tracker that takes a face for a hand must not keep a clip from being cut."""
    pose = hold(make_pose(60), right=raise_in(60, *range(20, 31)))
    set_heights(pose, "RIGHT_HAND_LANDMARKS/WRIST", np.full(60, 100))
    assert find_signing(pose) == Signing(18, 33)


@pytest.mark.parametrize(
    ("components", "fault"),
    [
        ({"POSE_LANDMARKS": ["LEFT_SHOULDER", "RIGHT_SHOULDER", "LEFT_WRIST", "RIGHT_WRIST"]}, "seen in the same"),
        ({"LEFT_HAND_LANDMARKS": ["WRIST"], "RIGHT_HAND_LANDMARKS": ["WRIST"]}, "seen in the same frame"),
        ({"pose_keypoints_2d": ["RShoulder", "LShoulder"]}, "seen in the same frame"),
    ],
    ids=["no elbows", "hands alone", "OpenPose"],
)
def test_layouts_without_elbows_are_left_whole(components, fault, make_pose):
    pose = make_pose(8, components=components)
    cut, signing = cut_to_signing(pose)
    assert cut is pose
    assert (signing.start, signing.end) == (0, 8)
    assert fault in (signing.fault or "")


def test_people_are_cut_by_the_chosen_one(make_pose):
    pose = hold(make_pose(60, people=2), right=raise_in(60, 30))
    wrist = place(pose, WRISTS[1])
    pose.body.data.data[10, 1, wrist, 1] = 200
    assert find_signing(pose, 0) == Signing(28, 33)
    assert find_signing(pose, 1) == Signing(8, 33)
    assert cut_to_signing(pose, 1)[0].body.data.shape[:2] == (25, 2)
    with pytest.raises(PersonError):
        find_signing(pose)


@settings(max_examples=60, deadline=None)
@given(left=st.lists(st.booleans(), min_size=1, max_size=40), seed=st.integers(0, 2**32 - 1))
def test_trimming_twice_is_trimming_once(left, seed, make_pose):
    rng = np.random.default_rng(seed)
    frames = len(left)
    pose = hold(make_pose(frames), left=np.where(left, 200, 300), right=np.where(rng.random(frames) < 0.1, 200, 300))
    for name in (*WRISTS, *ELBOWS, "LEFT_HAND_LANDMARKS/WRIST"):
        pose.body.confidence[rng.random(frames) < 0.3, :, place(pose, name)] = 0
    once, signing = cut_to_signing(pose)
    again, second = cut_to_signing(once)
    assert again is once
    assert (second.start, second.end) == (0, len(once.body.data))
    assert second.fault == signing.fault
    assert 0 <= signing.start < signing.end <= frames


@settings(max_examples=30, deadline=None)
@given(before=st.integers(0, 40), after=st.integers(0, 40), seed=st.integers(0, 99))
def test_a_clip_that_was_cut_by_hand_has_the_same_features(before, after, seed, make_pose):
    """What comes before and after, however long, changes nothing."""
    frames = before + 30 + after
    signing = range(before + MARGIN_FRAMES, before + 30 - MARGIN_FRAMES)
    pose = hold(make_pose(frames, seed=seed), right=raise_in(frames, *signing))
    by_hand = cut_frames(pose, before, before + 30)
    for kind in ("signclip", "signclip_depth"):
        for flip in ("never", "auto"):
            trimmed = extract(pose, kind, FeatureOptions(flip=flip, trim="auto"))
            np.testing.assert_array_equal(trimmed, extract(by_hand, kind, FeatureOptions(flip=flip)))
    assert report(cut_to_signing(pose)[0]) == report(by_hand)


def test_sides_do_not_matter(make_pose):
    pose = hold(make_pose(60), left=raise_in(60, 22), right=raise_in(60, 33, 44))
    assert find_signing(mirror(pose)) == find_signing(pose)


@pytest.mark.parametrize("name", ["ase_A", "gsg_C", "sgg_Ü"])
def test_clips_of_the_lexicon_are_cut_already(name, golden_bytes):
    pose = read(golden_bytes(name))
    assert find_signing(pose) == Signing(0, len(pose.body.data))


def test_a_dictionarys_clip_loses_its_rest(golden_bytes):
    """house.pose begins and ends with both hands down."""
    pose = read(golden_bytes("house"))
    signing = find_signing(pose)
    assert 0 < signing.start < signing.end < len(pose.body.data)
    np.testing.assert_array_equal(
        extract(pose, "signclip", TRIMMED), extract(cut_frames(pose, signing.start, signing.end), "signclip")
    )


def test_numbers_that_are_no_numbers_are_counted_in_what_is_left(make_pose, to_bytes):
    pose = hold(make_pose(60), right=raise_in(60, *range(20, 31)))
    pose.body.data.data[[2, 25, 26], 0, 0] = np.nan
    cut, _ = cut_to_signing(read(to_bytes(pose)))
    assert isinstance(cut, FilePose)
    assert cut.not_finite is not None
    assert cut.not_finite.sum() == 2
    warnings = report(cut).warnings
    assert any("NaN or infinite" in warning for warning in warnings)
    assert read(to_bytes(cut)).body.data.shape == cut.body.data.shape


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="trim is 'yes'; one of none, auto is needed"):
        FeatureOptions(trim="yes")
