from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent
from pose_format.utils.openpose import OpenPose_Components

import poses
from poses import PersonError, find_warnings, report
from tests.poses.make_poses import write_pose

ALL = slice(None)


def test_a_good_clip_has_no_warnings(golden_bytes):
    found = report(poses.read(golden_bytes("ase_A")))
    assert dataclasses.asdict(found) == {
        "frames": 21,
        "fps": 25.0,
        "duration_s": 0.84,
        "people": 1,
        "left_hand": 0.0,
        "right_hand": 1.0,
        "face": 1.0,
        "shoulders": 1.0,
        "active_hand": "right",
        "warnings": (),
    }


def test_shares_count_frames(make_pose):
    missing = {
        "LEFT_HAND_LANDMARKS": [0, 1, 2, 3, 4],
        "RIGHT_HAND_LANDMARKS": [0],
        "RIGHT_HAND_LANDMARKS/WRIST": [1],
        "FACE_LANDMARKS": [0, 1, 2],
        "POSE_LANDMARKS/LEFT_SHOULDER": [0, 1],
        "POSE_LANDMARKS/RIGHT_SHOULDER": [1, 2],
    }
    found = report(make_pose(10, missing=missing))
    assert (found.left_hand, found.right_hand, found.face, found.shoulders) == (0.5, 0.9, 0.7, 0.7)


@pytest.mark.parametrize(
    ("changes", "warnings"),
    [
        ({}, ()),
        ({"frames": 1}, ("single frame",)),
        ({"missing": {"RIGHT_HAND_LANDMARKS": ALL}}, ("no right hand in any frame",)),
        ({"missing": {"LEFT_HAND_LANDMARKS": ALL}}, ()),
        ({"missing": {"LEFT_HAND_LANDMARKS": ALL, "RIGHT_HAND_LANDMARKS": ALL}}, ("no hand in any frame",)),
        ({"missing": {"RIGHT_HAND_LANDMARKS": slice(2, None)}}, ("right hand in only 20 % of frames",)),
        ({"missing": {"POSE_LANDMARKS/LEFT_SHOULDER": [1, 2, 3, 4]}}, ("shoulders missing in 40 % of frames",)),
        ({"missing": {"POSE_LANDMARKS": ALL}}, ("no shoulders in any frame",)),
        (
            {"frames": 201, "missing": {"POSE_LANDMARKS/LEFT_SHOULDER": [7]}},
            ("shoulders missing in under 1 % of frames",),
        ),
        (
            {"frames": 201, "missing": {"POSE_LANDMARKS/LEFT_SHOULDER": slice(1, None)}},
            ("shoulders missing in over 99 % of frames",),
        ),
        ({"people": 2}, ("2 people; this describes person 0",)),
        ({"components": ["POSE_LANDMARKS", "RIGHT_HAND_LANDMARKS"]}, ()),
        ({"components": ["POSE_LANDMARKS", "LEFT_HAND_LANDMARKS"]}, ("no right hand in the layout",)),
        ({"components": ["FACE_LANDMARKS"]}, ("no hands in the layout", "no shoulders in the layout")),
    ],
)
def test_warnings_say_what_is_wrong(changes, warnings, make_pose):
    pose = make_pose(**{"frames": 10} | changes)
    assert report(pose).warnings == warnings
    if pose.body.data.shape[1] == 1:
        assert find_warnings(pose) == warnings


@pytest.mark.parametrize(
    ("fps", "warnings"),
    [
        (25, ()),
        (12.5, ()),
        (50, ()),
        (8, ("8 frames per second; models saw 24 to 30",)),
        (120, ("120 frames per second; models saw 24 to 30",)),
    ],
)
def test_an_unusual_frame_rate_is_named(fps, warnings, make_pose):
    pose = make_pose(10)
    pose.body.fps = fps
    assert report(pose).warnings == warnings
    assert report(pose).duration_s == 10 / fps


@pytest.mark.parametrize(("fps", "shown"), [(0, 0), (-1, -1), (float("nan"), None), (float("inf"), None)])
def test_a_pose_without_a_frame_rate_has_no_duration(fps, shown, make_pose):
    pose = make_pose(10)
    pose.body.fps = fps
    found = report(pose)
    assert (found.frames, found.fps, found.duration_s) == (10, shown, None)
    assert found.warnings == (
        f"{fps:g} frames per second, which is no rate; features do not depend on it, the duration is unknown",
    )


def test_points_far_from_the_body_are_named(make_pose):
    pose = make_pose()
    pose.body.data[2, 0, -54, :2] = (320 + 3000, 200)
    assert report(pose).warnings == ("coordinates up to 30 shoulder widths from the body",)
    pose.body.confidence[2, 0, -54] = 0
    assert report(pose).warnings == ()


def test_world_landmarks_are_not_in_the_image(make_pose):
    pose = make_pose()
    pose.body.data[:, :, -33:, :2] = 1e6
    assert report(pose).warnings == ()


def test_a_still_right_hand_is_named(make_pose):
    pose = make_pose()
    pose.body.data[:, :, -54:-33] = 300
    assert report(pose).warnings == ("the right hand never moves",)


def test_confidence_out_of_range_is_named(golden_bytes):
    warnings = report(poses.read(golden_bytes("gss_long"))).warnings
    assert "confidence from -16 to 8.8, outside 0 to 1" in warnings
    assert "coordinates up to 31 shoulder widths from the body" in warnings


def test_the_chosen_person_is_described(make_pose):
    pose = make_pose(10, people=2)
    pose.body.confidence[:6, 1, -75:-54] = 0
    assert report(pose).left_hand == report(pose, 0).left_hand == 1
    assert report(pose, 1).left_hand == 0.4
    assert report(pose, 1).warnings == ()
    with pytest.raises(PersonError, match="person 2 of 2"):
        report(pose, 2)


def test_other_formats_are_described_by_the_library(make_pose):
    pose = make_pose(10, components={component.name: component.points for component in OpenPose_Components})
    pose.body.data[:, :, 2] = (270, 200, 0)  # RShoulder
    pose.body.data[:, :, 5] = (370, 200, 0)  # LShoulder
    pose.body.confidence[:3, :, -21:] = 0
    pose.body.confidence[:5, :, 25:95] = 0
    found = report(pose)
    assert (found.left_hand, found.right_hand, found.face, found.shoulders) == (1, 0.7, 0.5, 1)
    assert found.active_hand is None
    assert found.warnings == ()


def test_unknown_layouts_are_described_as_far_as_they_go(make_pose):
    found = report(make_pose(components={"ANTENNAE": ["LEFT", "RIGHT"]}))
    assert (found.left_hand, found.right_hand, found.face, found.shoulders) == (None, None, None, None)
    assert found.warnings == ("no hands in the layout", "no shoulders in the layout")
    assert json.loads(json.dumps(dataclasses.asdict(found)))["frames"] == 6


@pytest.mark.parametrize("point_format", ["XC", "XYC", "XYZWC"])
def test_points_of_any_number_of_coordinates_are_described(point_format, make_pose):
    dims = len(point_format) - 1
    pose = make_pose()
    layout = [PoseHeaderComponent(part.name, part.points, [], [], point_format) for part in pose.header.components]
    values = np.resize(np.asarray(pose.body.data), (*pose.body.data.shape[:3], dims))
    pose = Pose(PoseHeader(0.2, pose.header.dimensions, layout), NumPyPoseBody(25.0, values, pose.body.confidence))
    found = report(poses.read(write_pose(pose)))
    assert (found.frames, found.left_hand, found.right_hand, found.shoulders) == (6, 1, 1, 1)


def test_the_pose_is_left_as_it_was(make_pose):
    pose, untouched = make_pose(people=2), make_pose(people=2)
    report(pose)
    np.testing.assert_array_equal(pose.body.data.data, untouched.body.data.data)
    np.testing.assert_array_equal(pose.body.confidence, untouched.body.confidence)
