"""Features of the paper's other experiments, against pose-format's own operations on masked arrays."""

from __future__ import annotations

import numpy as np
import pytest
from pose_anonymization.data.normalization import load_mean_and_std_for_pose, shift_hands
from pose_format.utils.generic import correct_wrists, pose_normalization_info, reduce_holistic
from pose_format.utils.normalization_3d import PoseNormalizer

from poses import FeatureOptions, PoseLayoutError, extract, mirror, read

PATCHES = [
    {},
    {"LEFT_HAND_LANDMARKS": slice(None)},
    {"RIGHT_HAND_LANDMARKS": [0, 3], "LEFT_HAND_LANDMARKS": [1]},
    {"POSE_LANDMARKS/LEFT_WRIST": [2], "RIGHT_HAND_LANDMARKS": [2], "FACE_LANDMARKS": [4]},
]
HOLISTIC = ["POSE_LANDMARKS", "FACE_LANDMARKS", "LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS"]


def flat(pose):
    return np.nan_to_num(np.asarray(pose.body.data)).reshape(len(pose.body.data), -1)


def sign_vq(pose, *, standardized):
    # sign_vq.data.normalize, step by step; with the correction of wrists that its name for it promises.
    pose = correct_wrists(reduce_holistic(pose).get_components(HOLISTIC))
    pose = pose.normalize(pose_normalization_info(pose.header))
    shift_hands(pose)
    if standardized:
        mean, std = load_mean_and_std_for_pose(pose)
        pose.body.data = (pose.body.data - mean) / std
    return flat(pose)


def three_d(pose):
    # PoseProcessor.hand_normalization, on the pose that is normalized by its shoulders.
    pose = pose.normalize(pose_normalization_info(pose.header)).get_components(["RIGHT_HAND_LANDMARKS"])
    points = [("RIGHT_HAND_LANDMARKS", name) for name in ("WRIST", "PINKY_MCP", "INDEX_FINGER_MCP")]
    line = pose.header.normalization_info(points[0], ("RIGHT_HAND_LANDMARKS", "MIDDLE_FINGER_MCP"))
    with np.errstate(all="ignore"):  # frames without a hand
        normalizer = PoseNormalizer(plane=pose.header.normalization_info(*points), line=line, size=100)
        pose.body.data = normalizer(pose.body.data)
        pose.focus()
    return flat(pose)


def both_hands(pose):
    pose = pose.normalize(pose_normalization_info(pose.header))
    return flat(pose.get_components(["LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS"]))


def full_face(pose):
    pose = pose.get_components(HOLISTIC, {"FACE_LANDMARKS": [str(number) for number in range(468)]})
    pose = pose.normalize(pose_normalization_info(pose.header))
    legs = [
        pose.header.get_point_index("POSE_LANDMARKS", f"{side}_{name}")
        for side in ("LEFT", "RIGHT")
        for name in ("KNEE", "ANKLE", "HEEL", "FOOT_INDEX")
    ]
    pose.body.data[:, :, legs] = 0
    return flat(pose)


THEIRS = {
    "signclip_reduced": lambda pose: sign_vq(pose, standardized=False),
    "signclip_standardized": lambda pose: sign_vq(pose, standardized=True),
    "fingerclip_3d": three_d,
    "fingerclip_both_hands": both_hands,
    "signclip_full_face": full_face,
}


@pytest.mark.parametrize("missing", PATCHES)
@pytest.mark.parametrize("kind", THEIRS)
def test_features_equal_the_masked_operations(kind, missing, make_pose, relative_error):
    pose = make_pose(6, missing=missing, seed=3)
    features = extract(pose, kind)
    assert features.dtype == np.float32
    assert relative_error(features, THEIRS[kind](make_pose(6, missing=missing, seed=3))) <= 1e-5


@pytest.mark.parametrize("clip", ["house", "gsg_C"])
@pytest.mark.parametrize("kind", THEIRS)
def test_features_of_estimated_poses(kind, clip, golden_bytes, relative_error):
    data = golden_bytes(clip)
    assert relative_error(extract(read(data), kind), THEIRS[kind](read(data))) <= 1e-5


def test_a_hand_without_its_wrist_is_no_hand_in_three_dimensions(make_pose):
    features = extract(make_pose(4, missing={"RIGHT_HAND_LANDMARKS/WRIST": [1]}), "fingerclip_3d")
    assert not features[1].any()
    assert features[[0, 2, 3]].any(axis=1).all()


def test_a_clip_without_a_right_hand_is_zero_in_three_dimensions(make_pose):
    assert not extract(make_pose(4, missing={"RIGHT_HAND_LANDMARKS": slice(None)}), "fingerclip_3d").any()


def test_reduced_features_of_a_mirrored_pose_are_the_mirrored_ones(make_pose):
    pose = make_pose(5, missing={"LEFT_HAND_LANDMARKS": [1]})
    flipped = extract(pose, "signclip_reduced", FeatureOptions(flip="always"))
    np.testing.assert_allclose(flipped, extract(mirror(pose), "signclip_reduced"), atol=1e-5)


@pytest.mark.parametrize("kind", THEIRS)
def test_anonymous_features_are_of_the_anonymized_pose(kind, make_pose):
    options = FeatureOptions(anonymize=True)
    one, other = extract(make_pose(5), kind, options), extract(make_pose(5), kind)
    assert one.shape == other.shape
    # Whose face and arms they are changes; the hand's own shape does not.
    assert np.abs(one - other).max() > 1e-3 if kind != "fingerclip_3d" else np.allclose(one, other, atol=1e-2)


def test_the_whole_face_is_needed(make_pose):
    with pytest.raises(PoseLayoutError, match="FACE_LANDMARKS 1, FACE_LANDMARKS 2"):
        extract(make_pose(face_points=128), "signclip_full_face")
