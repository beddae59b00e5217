from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

import poses
from poses import FEATURE_KINDS, FeatureOptions, PoseContentError, PoseLayoutError, PoseScaleError, extract
from poses.landmarks import LEG_POINTS

KINDS = ("signclip", "fingerclip", "signclip_depth")
# For numbers of the size of a few shoulder widths, float32 keeps seven digits of pixel coordinates.
TOLERANCE = 1e-5
ROOT = Path(poses.__file__).parents[1]


@pytest.mark.parametrize(
    ("kind", "clip"),
    [
        ("signclip", "house"),
        ("signclip", "ase_A"),
        ("signclip", "gsg_C"),
        ("signclip", "sgg_Ü"),
        ("fingerclip", "house"),
        ("fingerclip", "gsg_C"),
    ],
)
def test_features_equal_the_authors_outputs(kind, clip, golden_bytes, golden_features, relative_error):
    features = extract(poses.read(golden_bytes(clip)), kind)
    assert relative_error(features, golden_features[f"{kind}/{clip}"]) <= TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_float32_rows_of_the_kinds_size(kind, make_pose):
    features = extract(make_pose(7), kind)
    assert features.shape == (7, FEATURE_KINDS[kind].dim)
    assert features.dtype == np.float32
    assert features.flags.c_contiguous


@st.composite
def patchy_poses(draw, make_pose):
    """Poses with parts unseen in some frames, yet with both shoulders in at least one."""
    frames = draw(st.integers(1, 6))
    some_frames = st.lists(st.integers(0, frames - 1), unique=True)
    parts = st.sampled_from(
        [
            *("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS", "FACE_LANDMARKS", "POSE_LANDMARKS/NOSE"),
            *("RIGHT_HAND_LANDMARKS/WRIST", "FACE_LANDMARKS/0", "POSE_LANDMARKS/LEFT_KNEE", "POSE_LANDMARKS/LEFT_HIP"),
        ]
    )
    missing = draw(st.dictionaries(parts, some_frames))
    whole = draw(st.integers(0, frames - 1))
    for side in ("LEFT", "RIGHT"):
        missing[f"POSE_LANDMARKS/{side}_SHOULDER"] = [frame for frame in draw(some_frames) if frame != whole]
    return make_pose(
        frames, face_points=draw(st.sampled_from([468, 478])), missing=missing, seed=draw(st.integers(0, 99))
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_features_equal_the_masked_operations(kind, data, make_pose, authors_features, relative_error):
    pose = data.draw(patchy_poses(make_pose))
    expected = authors_features(pose, kind)
    if not expected.any():
        assert not extract(pose, kind).any()
    else:
        assert relative_error(extract(pose, kind), expected) <= TOLERANCE


def test_a_missing_point_keeps_what_is_stored(make_pose):
    pose = make_pose(4, missing={"LEFT_HAND_LANDMARKS": [1]})
    pose.body.data.data[1, 0, -33 - 42 : -33 - 21] = 7.5
    features = extract(pose, "signclip").reshape(4, 203, 3)
    assert (features[1, 161:182] == 7.5).all()
    assert (np.abs(features[0, 161:182]) < 5).all()


def test_legs_are_blank_and_hips_are_not(make_pose):
    features = extract(make_pose(), "signclip").reshape(-1, 203, 3)
    assert not features[:, 25:33].any()
    assert features[:, 23:25].all()


def test_order_of_points_in_the_layout_does_not_matter(make_pose):
    pose = make_pose(face_points=478)
    order = list(reversed([component.name for component in pose.header.components]))
    points = {component.name: component.points[::-1] for component in pose.header.components}
    shuffled = pose.get_components(order, points)
    for kind in KINDS:
        np.testing.assert_array_equal(extract(shuffled, kind), extract(pose, kind))


def test_reduced_poses_and_other_components_change_nothing(make_pose):
    pose = make_pose(face_points=478)
    expected = extract(pose, "signclip")
    without_world = pose.remove_components("POSE_WORLD_LANDMARKS")
    without_legs = pose.remove_components([], {"POSE_LANDMARKS": [point.name for point in LEG_POINTS]})
    extended = pose.get_components([c.name for c in pose.header.components])
    extended.header.components[-1].name = "OTHER_LANDMARKS"
    for variant in (without_world, without_legs, extended):
        np.testing.assert_array_equal(extract(variant, "signclip"), expected)


def test_faces_of_468_478_and_128_points_give_the_same_features(make_pose):
    whole = make_pose(face_points=478)
    for names in ([str(number) for number in range(468)], make_pose(face_points=128).header.components[1].points):
        fewer = whole.get_components([c.name for c in whole.header.components], {"FACE_LANDMARKS": names})
        np.testing.assert_array_equal(extract(fewer, "signclip"), extract(whole, "signclip"))


def test_fingerclip_needs_the_shoulders_and_the_right_hand_only(make_pose):
    pose = make_pose()
    small = pose.get_components(
        ["RIGHT_HAND_LANDMARKS", "POSE_LANDMARKS"], {"POSE_LANDMARKS": ["LEFT_SHOULDER", "RIGHT_SHOULDER"]}
    )
    np.testing.assert_array_equal(extract(small, "fingerclip"), extract(pose, "fingerclip"))


def test_depth_is_measured_in_the_unit_of_width(make_pose):
    pose = make_pose()
    scaled = pose.copy()
    scaled.body.data[..., 2] *= pose.header.dimensions.width
    np.testing.assert_allclose(extract(pose, "signclip_depth"), extract(scaled, "signclip"), rtol=1e-6)
    assert not np.allclose(extract(pose, "signclip_depth"), extract(pose, "signclip"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flip", ["never", "always", "auto"])
@pytest.mark.parametrize("anonymize", [False, True])
def test_the_pose_is_left_as_it_was(kind, flip, anonymize, golden_bytes):
    data = golden_bytes("ase_A")
    pose, untouched = poses.read(data), poses.read(data)
    extract(pose, kind, FeatureOptions(flip=flip, anonymize=anonymize))
    np.testing.assert_array_equal(pose.body.data.data, untouched.body.data.data)
    np.testing.assert_array_equal(pose.body.data.mask, untouched.body.data.mask)
    np.testing.assert_array_equal(pose.body.confidence, untouched.body.confidence)
    assert str(pose.header) == str(untouched.header)


def test_the_result_shares_no_memory_with_the_pose(make_pose):
    pose = make_pose()
    for kind in KINDS:
        assert not np.shares_memory(extract(pose, kind), pose.body.data.data)


def test_each_person_is_measured_alone(make_pose):
    pose = make_pose(people=3)
    for person in range(3):
        alone = Pose(
            pose.header,
            NumPyPoseBody(25, pose.body.data[:, [person]], pose.body.confidence[:, [person]]),
        )
        np.testing.assert_array_equal(
            extract(pose, "signclip", FeatureOptions(person=person)), extract(alone, "signclip")
        )


@pytest.mark.parametrize(
    ("person", "message"),
    [(None, "3 people and none chosen; give person, 0 to 2"), (3, "person 3 of 3; give 0 to 2"), (-1, "person -1")],
)
def test_a_person_who_is_not_there_is_refused(person, message, make_pose):
    with pytest.raises(poses.PersonError, match=message):
        extract(make_pose(people=3), "signclip", FeatureOptions(person=person))


@pytest.mark.parametrize(
    ("component", "kind"),
    [
        ("POSE_LANDMARKS", "signclip"),
        ("FACE_LANDMARKS", "signclip"),
        ("LEFT_HAND_LANDMARKS", "signclip_depth"),
        ("RIGHT_HAND_LANDMARKS", "signclip"),
        ("POSE_LANDMARKS", "fingerclip"),
        ("RIGHT_HAND_LANDMARKS", "fingerclip"),
    ],
)
def test_a_missing_component_is_named(component, kind, make_pose):
    with pytest.raises(PoseLayoutError, match=f"component {component} is missing"):
        extract(make_pose().remove_components(component), kind)


def test_missing_points_are_named(make_pose):
    pose = make_pose().remove_components([], {"FACE_LANDMARKS": ["0", "7", "10", "13", "14"]})
    with pytest.raises(PoseLayoutError, match="FACE_LANDMARKS 0, FACE_LANDMARKS 7, FACE_LANDMARKS 10 and 2 more"):
        extract(pose, "signclip")


def test_flat_poses_are_refused(make_pose):
    pose = make_pose()
    for component in pose.header.components:
        component.format = "XYC"
    with pytest.raises(PoseLayoutError, match="has format XYC; XYZC is needed"):
        extract(pose, "signclip")


def test_shoulders_never_seen_together_are_refused(make_pose):
    missing = {"POSE_LANDMARKS/LEFT_SHOULDER": [0, 1, 2], "POSE_LANDMARKS/RIGHT_SHOULDER": [3]}
    with pytest.raises(PoseScaleError, match="seen together in 0 of 4 frames"):
        extract(make_pose(4, missing=missing), "signclip")


def test_shoulders_in_one_place_are_refused(make_pose):
    pose = make_pose()
    pose.body.data[:, :, 11:13] = 5
    with pytest.raises(PoseScaleError, match="0 apart"):
        extract(pose, "signclip")


def test_nan_becomes_zero_and_infinite_is_refused(make_pose):
    pose = make_pose()
    pose.body.data[0, 0, 0] = np.nan
    assert not extract(pose, "signclip")[0, :3].any()
    pose.body.data[0, 0, 0] = 3e38
    with pytest.raises(PoseContentError, match="1 points in 1 of 6 frames are more than 1000 shoulder widths"):
        extract(pose, "signclip")


def test_depth_out_of_range_is_refused(make_pose):
    pose = make_pose()
    pose.body.data[:, :, 11, 2] = 1e4  # times 640 pixels is no depth of a body
    extract(pose, "signclip")
    with pytest.raises(PoseScaleError, match=r"apart; a positive distance up to 1e\+06 is needed"):
        extract(pose, "signclip_depth")
    pose.body.data[:, :, 11, 2] = 1e37
    with pytest.raises(PoseScaleError, match="a positive distance"):
        extract(pose, "signclip")


def test_depth_needs_a_width(make_pose):
    pose = make_pose()
    pose.header.dimensions.width = 0
    with pytest.raises(PoseContentError, match="image width is 0"):
        extract(pose, "signclip_depth")


def test_unknown_kinds_and_options_are_refused(make_pose):
    with pytest.raises(poses.FeatureKindError, match="'signclop'; there are signclip, fingerclip, signclip_depth"):
        extract(make_pose(), "signclop")
    with pytest.raises(ValueError, match="flip is 'sometimes'"):
        FeatureOptions(flip="sometimes")


def test_poses_in_float64_give_float32(make_pose):
    pose = make_pose()
    double = Pose(pose.header, NumPyPoseBody(25, pose.body.data.astype(np.float64), pose.body.confidence))
    np.testing.assert_array_equal(extract(double, "signclip"), extract(pose, "signclip"))


def test_layouts_do_not_mix_across_threads(make_pose):
    names = [component.name for component in make_pose().header.components]
    variants = [make_pose(3, components=names[turn:] + names[:turn], seed=turn) for turn in range(5)] * 8
    expected = [extract(pose, "signclip") for pose in variants]
    with ThreadPoolExecutor(8) as threads:
        for features, alone in zip(
            threads.map(lambda pose: extract(pose, "signclip"), variants), expected, strict=True
        ):
            np.testing.assert_array_equal(features, alone)


def test_importing_and_using_poses_needs_neither_torch_nor_mediapipe(tmp_path, golden_bytes):
    (tmp_path / "clip.pose").write_bytes(golden_bytes("ase_A"))
    code = (
        "import sys, pathlib, poses\n"
        "pose = poses.read(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "poses.extract(pose, 'signclip', poses.FeatureOptions(flip='auto', anonymize=True))\n"
        "poses.report(poses.mirror(pose))\n"
        "heavy = {'torch', 'mediapipe', 'tensorflow', 'cv2', 'flask'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "clip.pose")], check=True, cwd=ROOT)
