from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pose_anonymization import appearance
from pose_anonymization.data import load_pose_header

import poses
from poses import FEATURE_KINDS, FeatureOptions, PoseScaleError, extract
from poses.anonymize import remove_appearance
from poses.points import select

ANONYMIZE = FeatureOptions(anonymize=True)


@pytest.mark.parametrize("clip", ["house", "gsg_C"])
def test_anonymized_features_equal_the_authors_outputs(clip, golden_bytes, golden_features, relative_error):
    features = extract(poses.read(golden_bytes(clip)), "signclip", ANONYMIZE)
    assert relative_error(features, golden_features[f"anonymize/{clip}"]) <= 1e-5


@pytest.mark.parametrize("kind", ["signclip", "fingerclip", "signclip_depth"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_anonymized_features_equal_the_librarys(kind, data, make_pose, authors_features, relative_error):
    frames = st.lists(st.integers(0, 3), unique=True)
    shoulders = st.lists(st.integers(1, 3), unique=True)  # the first frame is the one that is compared
    missing = {
        "LEFT_HAND_LANDMARKS": data.draw(frames),
        "FACE_LANDMARKS": data.draw(frames),
        "POSE_LANDMARKS/NOSE": data.draw(frames),
        "POSE_LANDMARKS/LEFT_SHOULDER": data.draw(shoulders),
    }
    pose = make_pose(4, missing=missing, seed=data.draw(st.integers(0, 99)))
    assert relative_error(extract(pose, kind, ANONYMIZE), authors_features(pose, kind, anonymize=True)) <= 1e-5


def test_signers_of_different_build_become_alike(make_pose):
    pose = make_pose()
    wider = pose.copy()
    wider.body.data[:, :, 0] += (30, 5, 0)  # another nose
    plain = extract(wider, "signclip") - extract(pose, "signclip")
    anonymous = extract(wider, "signclip", ANONYMIZE) - extract(pose, "signclip", ANONYMIZE)
    assert np.abs(plain).max() > 0.2
    assert np.abs(anonymous).max() < 1e-4


def test_every_call_gives_the_same_and_leaves_the_averages_alone(golden_bytes):
    pose = poses.read(golden_bytes("ase_A"))
    average = appearance.get_mean_appearance()
    before = np.array(average.body.data), str(load_pose_header().dimensions)
    first = extract(pose, "signclip", ANONYMIZE)
    for _ in range(30):
        np.testing.assert_array_equal(extract(pose, "signclip", ANONYMIZE), first)
    np.testing.assert_array_equal(np.array(average.body.data), before[0])
    assert str(load_pose_header().dimensions) == before[1]


def test_the_given_clip_is_left_as_it_was(make_pose):
    clip = select(make_pose(), 0, FEATURE_KINDS["signclip"].measured)
    values, missing = clip.values.copy(), clip.missing.copy()
    remove_appearance(clip)
    np.testing.assert_array_equal(clip.values, values)
    np.testing.assert_array_equal(clip.missing, missing)


def test_many_threads_give_the_same_from_a_cold_start(golden_bytes):
    clips = [poses.read(golden_bytes(clip)) for clip in ("ase_A", "gsg_C", "sgg_Ü")] * 8
    expected = [extract(pose, "signclip", ANONYMIZE) for pose in clips]
    appearance.get_mean_appearance.cache_clear()
    load_pose_header.cache_clear()
    start = threading.Barrier(8)

    def work(turn: int) -> list[np.ndarray]:
        start.wait()
        return [extract(pose, "signclip", ANONYMIZE) for pose in clips[turn:] + clips[:turn]]

    with ThreadPoolExecutor(8) as threads:
        for turn, results in enumerate(threads.map(work, range(8))):
            for features, alone in zip(results, expected[turn:] + expected[:turn], strict=True):
                np.testing.assert_array_equal(features, alone)


@pytest.mark.parametrize("side", ["LEFT", "RIGHT"])
def test_the_first_frame_needs_both_shoulders(side, make_pose):
    pose = make_pose(missing={f"POSE_LANDMARKS/{side}_SHOULDER": [0]})
    extract(pose, "signclip")
    with pytest.raises(PoseScaleError, match="a shoulder is missing in frame 0"):
        extract(pose, "signclip", ANONYMIZE)


def test_shoulders_in_one_place_are_refused(make_pose):
    pose = make_pose()
    pose.body.data[:, :, 11:13] = 5
    with pytest.raises(PoseScaleError, match="the shoulders' distance is 0"):
        extract(pose, "signclip", ANONYMIZE)
