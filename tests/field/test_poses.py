"""Poses as people really have them: NaN for what was not seen, no frame rate, packed, long, of other layouts."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import numpy as np
import pytest
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.utils.generic import reduce_holistic

import poses
from poses import PoseError, PoseFormatError, PoseLayoutError, PoseTooLargeError, ReadLimits, extract, find_warnings
from poses.__main__ import main
from tests.field.inputs import (
    PARTS,
    letter,
    packed,
    places,
    read_data,
    scaled,
    to_bytes,
    to_bytes_v0_1,
    turned,
    with_fps,
    with_nan_hands,
)
from tests.poses.make_poses import build_pose, compute_as_the_authors, measure_error

KINDS = ("signclip", "fingerclip", "signclip_depth")
WORLD, FACE = "POSE_WORLD_LANDMARKS", "FACE_LANDMARKS"
BROKEN = "have a number that is NaN or infinite and count as not seen"


def spoiled(where: str, number: float) -> Pose:
    """The letter with a number that is not finite in some of its points, which the file calls seen."""
    pose = letter()
    data, confidence = pose.body.data.data, pose.body.confidence
    if where == "a confidence":
        confidence[1, 0, places(pose, FACE)[3]] = number
    elif where == "left shoulder":
        data[2, 0, 11] = number
    else:
        data[1:3, 0, places(pose, where)] = number
        confidence[1:3, 0, places(pose, where)] = 1
    return pose


# What is not finite: the places in the clip, and the share of points that the warning gives.
NOT_FINITE: dict[str, Callable[[], Pose]] = {
    "hands of Sem-Lex": with_nan_hands,
    "a hand, infinite": lambda: spoiled(PARTS["right"], math.inf),
    "a hand, minus infinity": lambda: spoiled(PARTS["left"], -math.inf),
    "the face": lambda: spoiled(FACE, math.nan),
    "world landmarks, which no model reads": lambda: spoiled(WORLD, math.nan),
    "a shoulder": lambda: spoiled("left shoulder", math.nan),
    "a confidence": lambda: spoiled("a confidence", math.nan),
    "an infinite confidence": lambda: spoiled("a confidence", math.inf),
}


@pytest.mark.parametrize("version", [0.1, 0.2])
@pytest.mark.parametrize("case", NOT_FINITE)
def test_a_number_that_is_not_finite_is_a_point_not_seen(case: str, version: float) -> None:
    sent = NOT_FINITE[case]()
    pose = poses.read(to_bytes(sent) if version == 0.2 else to_bytes_v0_1(sent))
    broken = ~np.isfinite(sent.body.data.data).all(axis=-1) | ~np.isfinite(sent.body.confidence)
    assert broken.any()
    assert not pose.body.confidence[broken].any()
    assert not pose.body.data.data[broken].any()
    assert pose.body.data.mask[broken].all()
    np.testing.assert_array_equal(pose.body.data.data[~broken], sent.body.data.data[~broken])
    assert any(BROKEN in warning for warning in find_warnings(pose))
    for kind in KINDS:
        assert np.isfinite(extract(pose, kind)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", [case for case in NOT_FINITE if case not in ("a shoulder", "a hand, infinite")])
def test_features_equal_the_authors_where_theirs_are_sane(case: str, kind: str) -> None:
    """Their code calls NaN seen and turns it into 0 at the end; infinite values stay, NaN shoulders spoil it all."""
    if "confidence" in case or "infinity" in case:
        # They take the values under a confidence that is no number; the point is at most one of 203.
        sent = NOT_FINITE[case]()
        features = extract(poses.read(to_bytes(sent)), kind)
        clean = extract(poses.read(to_bytes(letter())), kind)
        assert (features != clean).sum() <= 2 * 63
        return
    expected = compute_as_the_authors(Pose.read(to_bytes(NOT_FINITE[case]())), kind)
    assert measure_error(extract(poses.read(to_bytes(NOT_FINITE[case]())), kind), expected) <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_shoulder_that_is_nan_leaves_its_frame_out_of_the_mean(kind: str) -> None:
    unseen = letter()
    unseen.body.data.data[2, 0, 11] = 0
    unseen.body.confidence[2, 0, 11] = 0
    unseen = Pose(unseen.header, NumPyPoseBody(25, unseen.body.data.data, unseen.body.confidence))
    features = extract(poses.read(to_bytes(spoiled("left shoulder", math.nan))), kind)
    np.testing.assert_array_equal(features, extract(unseen, kind))
    assert measure_error(features, compute_as_the_authors(unseen, kind)) <= 1e-5


def test_a_pose_that_pose_format_read_gives_the_same_features() -> None:
    """NaN, confidence 1 and all: a notebook may read with the library and embed with this."""
    for make in NOT_FINITE.values():
        for kind in KINDS:
            np.testing.assert_array_equal(extract(make(), kind), extract(poses.read(to_bytes(make())), kind))


def test_the_warning_names_the_share_and_the_parts() -> None:
    (warning,) = find_warnings(poses.read(to_bytes(with_nan_hands())))
    assert warning == f"5 % of points {BROKEN} (LEFT_HAND_LANDMARKS, RIGHT_HAND_LANDMARKS)"


def test_each_person_is_warned_of_alone() -> None:
    pose = build_pose(5, people=2)
    pose.body.data.data[:, 1, 40] = np.nan
    again = poses.read(to_bytes(pose))
    assert not any(BROKEN in warning for warning in find_warnings(again, 0))
    assert any(BROKEN in warning for warning in find_warnings(again, 1))


@pytest.mark.parametrize("fps", [0.0, -1.0, math.nan, math.inf])
def test_a_pose_without_a_frame_rate_is_embedded_and_warned_of(fps: float) -> None:
    pose = poses.read(to_bytes(with_fps(fps)))
    for kind in KINDS:
        np.testing.assert_array_equal(extract(pose, kind), extract(letter(), kind))
    assert poses.report(pose).duration_s is None
    assert any("which is no rate" in warning for warning in find_warnings(pose))


def test_a_pose_of_version_0_1_without_a_frame_rate_is_embedded() -> None:
    pose = poses.read(to_bytes_v0_1(with_fps(0)))
    np.testing.assert_array_equal(extract(pose, "signclip"), extract(letter(), "signclip"))


# Packing


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_packed_pose_is_read(suffix: str, tmp_path, capsys) -> None:
    data = read_data("letter_A.pose")
    np.testing.assert_array_equal(poses.read(packed(data, suffix)).body.data.data, poses.read(data).body.data.data)
    file = tmp_path / f"letter_A.pose{suffix}"
    file.write_bytes(packed(data, suffix))
    assert main(["inspect", str(file)]) == 0
    assert "frames       4" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_packed_pose_is_bounded_and_whole_or_refused(suffix: str) -> None:
    data = packed(read_data("letter_A.pose"), suffix)
    with pytest.raises(PoseTooLargeError, match="more than 50000 bytes"):
        poses.read(data, limits=ReadLimits(max_bytes=50_000))
    for cut in (data[:-1], data[: len(data) // 2], data[:10]):
        with pytest.raises(PoseFormatError, match="ends too early"):
            poses.read(cut)
    with pytest.raises(PoseFormatError):
        poses.read(data + b"junk")
    with pytest.raises(PoseError) as refusal:
        poses.read(packed(b"<!doctype html>", suffix))
    assert refusal.value.code == "not_a_pose"


# Layouts


def only(*components: str) -> Pose:
    return letter().get_components(list(components))


LAYOUTS: dict[str, tuple[Callable[[], Pose], str]] = {
    "OpenPose": (lambda: Pose.read(read_data("openpose_137.pose")), "a pose of OpenPose (137 points)"),
    "reduced": (lambda: Pose.read(read_data("reduced_178_points.pose")), "a reduced MediaPipe Holistic pose (178"),
    "reduced anew": (lambda: reduce_holistic(letter()), "reduce_holistic"),
    "reduced from 468 points": (lambda: reduce_holistic(build_pose(4)), "a reduced MediaPipe Holistic pose (178"),
    "the right hand alone": (lambda: only(PARTS["right"]), "the right hand of a MediaPipe Holistic pose"),
    "both hands": (lambda: only(*PARTS.values()), "the left hand and the right hand of a MediaPipe"),
    "without a face": (lambda: only("POSE_LANDMARKS", *PARTS.values()), "a MediaPipe Holistic pose: send the whole"),
    "unknown": (lambda: build_pose(4, components={"ANTENNAE": ["A", "B"]}), "a layout that is not known here"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_is_refused_with_its_name_and_a_way_out(case: str) -> None:
    make, name = LAYOUTS[case]
    data = to_bytes(make())
    for refuse in (lambda: extract(poses.read(data), "signclip"), lambda: poses.read(data, kind="signclip")):
        with pytest.raises(PoseLayoutError) as refusal:
            refuse()
        assert name in str(refusal.value)
        assert "python -m video estimate" in str(refusal.value)
    # Looking at it says the same, instead of nothing at all.
    assert poses.find_layout_lacks(make().header, "signclip")


@pytest.mark.parametrize("case", LAYOUTS)
def test_inspecting_names_the_layout(case: str, tmp_path, capsys) -> None:
    make, name = LAYOUTS[case]
    (tmp_path / "x.pose").write_bytes(to_bytes(make()))
    assert main(["inspect", str(tmp_path / "x.pose")]) == 0
    shown = capsys.readouterr().out
    assert name.split(":")[0] in shown
    assert "signclip: " in shown
    assert "advice" in shown


@pytest.mark.parametrize("case", ["the right hand alone", "reduced", "OpenPose"])
def test_the_layout_is_looked_at_before_the_length(case: str) -> None:
    """What is too long for the limits and of a layout that nothing takes is not first told to be shortened."""
    data = to_bytes(LAYOUTS[case][0]())
    limits = ReadLimits(max_frames=2)
    with pytest.raises(PoseLayoutError):
        poses.read(data, limits=limits, kind="signclip")
    with pytest.raises(PoseTooLargeError, match="4 frames; at most 2"):
        poses.read(data, limits=limits)


def test_a_reduced_pose_still_has_the_features_that_need_no_more() -> None:
    reduced = poses.read(read_data("reduced_178_points.pose"))
    np.testing.assert_array_equal(extract(reduced, "fingerclip"), extract(letter(), "fingerclip"))


# The picture


def test_shares_of_a_picture_are_warned_of() -> None:
    (warning,) = find_warnings(poses.read(to_bytes(scaled("shares"))))
    assert "shares of the picture (0 to 1), in which its aspect ratio is lost" in warning
    in_pixels = scaled("shares")
    in_pixels.header.dimensions.width, in_pixels.header.dimensions.height = 640, 480
    assert "its aspect ratio is lost" in find_warnings(in_pixels)[0]


def test_a_picture_of_one_pixel_is_warned_of() -> None:
    pose = letter()
    pose.header.dimensions.width = pose.header.dimensions.height = 1
    assert any("a picture of 1 × 1 pixels" in warning for warning in find_warnings(pose))


def test_other_scales_do_not_matter() -> None:
    assert find_warnings(scaled("shoulder widths")) == ()
    assert measure_error(extract(scaled("shoulder widths"), "fingerclip"), extract(letter(), "fingerclip")) < 2e-3


@pytest.mark.parametrize(
    ("make", "warning"),
    [
        (letter, None),
        (lambda: turned(1), "sideways, with the head to the right; turn the video by a quarter counterclockwise"),
        (lambda: turned(2), "the signer is upside down"),
        (lambda: turned(3), "sideways, with the head to the left; turn the video by a quarter clockwise"),
        (lambda: scaled("y up"), "y points up"),
        (lambda: scaled("negative y"), "y points up"),
    ],
)
def test_a_signer_who_is_not_upright_is_warned_of(make: Callable[[], Pose], warning: str | None) -> None:
    found = find_warnings(poses.read(to_bytes(make())))
    assert found == () if warning is None else any(warning in line for line in found)


def test_clean_clips_are_not_warned_of(golden_clip) -> None:
    assert not any("signer" in line or "y points" in line or "picture" in line for line in find_warnings(golden_clip))


def test_a_clip_without_hands_is_warned_of() -> None:
    pose = letter()
    for part in PARTS.values():
        pose.body.confidence[:, 0, places(pose, part)] = 0
    assert "no hand in any frame" in find_warnings(pose)


def test_a_version_that_is_to_come_is_no_other_kind_of_file() -> None:
    with pytest.raises(PoseFormatError, match=r"version 0\.3 of the \.pose format"):
        poses.read(struct.pack("<f", 0.3) + read_data("letter_A.pose")[4:])
