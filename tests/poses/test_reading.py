from __future__ import annotations

import struct

import numpy as np
import pytest
from pose_format import Pose

from poses import (
    NotAPoseError,
    PoseEmptyError,
    PoseFormatError,
    PoseTooLargeError,
    PoseTooLongError,
    PoseTrailingError,
    PoseTruncatedError,
    PoseVersionError,
    ReadLimits,
    read,
)

SMALL = {"POSE_LANDMARKS": ["LEFT_SHOULDER", "RIGHT_SHOULDER"], "RIGHT_HAND_LANDMARKS": ["WRIST"]}


@pytest.mark.parametrize("clip", ["house", "ase_A", "gsg_C", "sgg_Ü", "gss_long"])
def test_reads_what_pose_format_reads(clip, golden_bytes):
    data = golden_bytes(clip)
    pose, expected = read(data), Pose.read(data)
    assert str(pose.header) == str(expected.header)
    for component, other in zip(pose.header.components, expected.header.components, strict=True):
        assert component.limbs == other.limbs
        assert component.relative_limbs == other.relative_limbs
        np.testing.assert_array_equal(component.colors, other.colors)
    assert isinstance(pose.body, type(expected.body))
    assert pose.body.fps == expected.body.fps
    for array, other in (
        (pose.body.data.data, expected.body.data.data),
        (pose.body.confidence, expected.body.confidence),
    ):
        np.testing.assert_array_equal(array, other)
        assert array.dtype == other.dtype == np.float32
    np.testing.assert_array_equal(pose.body.data.mask, expected.body.data.mask)


@pytest.mark.parametrize("people", [1, 3])
@pytest.mark.parametrize("version", [0.1, 0.2])
def test_reads_both_versions(version, people, make_pose, to_bytes):
    pose = make_pose(5, people=people, missing={"LEFT_HAND_LANDMARKS": [2, 3]})
    again = read(to_bytes(pose, version=version))
    np.testing.assert_array_equal(again.body.data.data, pose.body.data.data)
    np.testing.assert_array_equal(again.body.data.mask, pose.body.data.mask)
    np.testing.assert_array_equal(again.body.confidence, pose.body.confidence)
    assert again.body.fps == 25
    assert round(again.header.version, 3) == version


def test_version_0_1_may_hold_more_frames_than_it_can_count(make_pose, to_bytes):
    data = to_bytes(make_pose(65_540, components={"HAND": ["WRIST"]}), version=0.1)
    assert len(read(data, limits=ReadLimits(max_frames=70_000)).body.data) == 65_540
    with pytest.raises(PoseTooLongError, match="65540 frames; at most 65535 are read"):
        read(data)
    with pytest.raises(PoseTrailingError, match="4 frames"):
        read(data[:-16], limits=ReadLimits(max_frames=70_000))


def test_a_pose_is_its_readers_own(make_pose, to_bytes):
    data = to_bytes(make_pose())
    first = read(data)
    first.header.dimensions.width = 1
    first.header.components.pop()
    first.body.data[:] = 0
    first.body.confidence[:] = 0
    second = read(data)
    assert second.header.dimensions.width == 640
    assert len(second.header.components) == 5
    assert second.body.confidence.all()


def _small_file(make_pose, to_bytes, *, version=0.2, people=1):
    return to_bytes(make_pose(3, people=people, components=SMALL), version=version)


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


BODY_BYTES = 3 * 3 * 16  # 3 frames of 3 points of 4 floats
SIZES = {0.1: 6, 0.2: 10}


def _body_at(data, version=0.2):
    return len(data) - BODY_BYTES - SIZES[version]


def _edit(data, at, form, *values):
    return data[:at] + struct.pack(form, *values) + data[at + struct.calcsize(form) :]


FAULTS = {
    "nothing": (lambda data: b"", NotAPoseError, "an empty file"),
    "text": (lambda data: b"no pose at all", NotAPoseError, "text that begins 'no pose at all'"),
    "the version alone": (lambda data: data[:4], PoseTruncatedError, "10 bytes of preamble, this one has 4"),
    "version 0": (lambda data: _edit(data, 0, "<f", 0.0), NotAPoseError, "bytes of no known kind"),
    "version 0.3": (lambda data: _edit(data, 0, "<f", 0.3), PoseVersionError, "version 0.3 "),
    "version NaN": (lambda data: _edit(data, 0, "<f", float("nan")), NotAPoseError, "bytes of no known kind"),
    "no components": (lambda data: _edit(data, 10, "<H", 0), PoseFormatError, "no components"),
    "too many components": (
        lambda data: _edit(data, 10, "<H", 65_535),
        PoseTooLargeError,
        "65535 components; at most 64",
    ),
    "a component too many": (lambda data: _edit(data, 10, "<H", 3), PoseFormatError, "component"),
    "name past the end": (
        lambda data: _edit(data, 12, "<H", 60_000),
        PoseTruncatedError,
        "needs 60000 bytes from byte 14",
    ),
    "name not UTF-8": (
        lambda data: _replaced(data, b"RIGHT_HAND_", b"RIGHT\xff\xff\xff_H"[:11]),
        PoseFormatError,
        "a component's name is not UTF-8",
    ),
    "too many points": (
        lambda data: _replaced(data, b"XYZC\x02\x00", b"XYZC\xff\xff"),
        PoseTooLargeError,
        "65535 points up to component 'POSE_LANDMARKS'; at most 4096",
    ),
    "points past the end": (
        lambda data: _replaced(data, b"XYZC\x02\x00", b"XYZC\x00\x10"),
        PoseTruncatedError,
        "4096 points, 0 limbs and 0 colors of component 'POSE_LANDMARKS'",
    ),
    "limbs past the end": (
        lambda data: _replaced(data, b"XYZC\x02\x00\x00\x00", b"XYZC\x02\x00\xff\xff"),
        PoseTruncatedError,
        "65535 limbs",
    ),
    "colors past the end": (
        lambda data: _replaced(data, b"XYZC\x02\x00\x00\x00\x00\x00", b"XYZC\x02\x00\x00\x00\xff\x00"),
        PoseTruncatedError,
        "255 colors",
    ),
    "two components of one name": (
        lambda data: _replaced(data, b"\x14\x00RIGHT_HAND_LANDMARKS", b"\x0e\x00POSE_LANDMARKS"),
        PoseFormatError,
        "two components are named 'POSE_LANDMARKS'",
    ),
    "two points of one name": (
        lambda data: _replaced(data, b"\x0e\x00RIGHT_SHOULDER", b"\x0d\x00LEFT_SHOULDER"),
        PoseFormatError,
        "has two points of one name",
    ),
    "formats differ": (
        lambda data: _replaced(data, b"\x04\x00XYZC\x01\x00", b"\x03\x00XYC\x01\x00"),
        PoseFormatError,
        "'RIGHT_HAND_LANDMARKS' has format 'XYC', 'POSE_LANDMARKS' has 'XYZC'",
    ),
    "no confidence": (
        lambda data: _replaced(data, b"XYZC\x02\x00", b"XYZK\x02\x00"),
        PoseFormatError,
        "'XYZK'; expected distinct coordinates and then C",
    ),
    "no people": (lambda data: _edit(data, _body_at(data) + 8, "<H", 0), PoseEmptyError, "0 people"),
    "no frames": (lambda data: _edit(data[:-BODY_BYTES], _body_at(data) + 4, "<I", 0), PoseEmptyError, "0 frames"),
    "fewer frames": (
        lambda data: _edit(data, _body_at(data) + 4, "<I", 2),
        PoseTrailingError,
        "take 96 bytes, 144 are",
    ),
    "more frames": (
        lambda data: _edit(data, _body_at(data) + 4, "<I", 2**32 - 1),
        PoseTruncatedError,
        "4294967295 frames",
    ),
    "more people": (lambda data: _edit(data, _body_at(data) + 8, "<H", 65_535), PoseTruncatedError, "65535 × 3 points"),
    "cut in the header": (lambda data: data[:40], PoseTruncatedError, "the file has 40 bytes"),
    "cut in the sizes": (lambda data: data[: _body_at(data) + 9], PoseTruncatedError, "need 10 bytes, 9 are left"),
    "cut in the body": (lambda data: data[:-1], PoseTruncatedError, "take 144 bytes, 143 are left"),
    "a byte too many": (lambda data: data + b"\0", PoseTrailingError, "take 144 bytes, 145 are left"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named(fault, make_pose, to_bytes):
    change, error, message = FAULTS[fault]
    data = _small_file(make_pose, to_bytes)
    read(data)
    with pytest.raises(error, match=message):
        read(change(data))


def test_limbs_end_at_points_that_are_there(make_pose, to_bytes):
    pose = make_pose(components=SMALL)
    pose.header.components[0].limbs = [(0, 1), (1, 2)]
    with pytest.raises(PoseFormatError, match="a limb of component 'POSE_LANDMARKS' ends at point 2; it has 2 points"):
        read(to_bytes(pose))


@pytest.mark.parametrize(
    ("cut", "error"), [(-1, PoseTruncatedError), (-48, PoseTruncatedError), (None, None), (b"\0", PoseTrailingError)]
)
def test_version_0_1_is_as_strict(cut, error, make_pose, to_bytes):
    data = _small_file(make_pose, to_bytes, version=0.1)
    changed = data + cut if isinstance(cut, bytes) else data[:cut]
    if error is None:
        assert len(read(changed).body.data) == 3
    else:
        with pytest.raises(error):
            read(changed)
    with pytest.raises(PoseTrailingError):
        read(data + bytes(48))
    with pytest.raises(PoseEmptyError, match="0 people"):
        read(_edit(data, _body_at(data, 0.1) + 4, "<H", 0))
    with pytest.raises(PoseEmptyError, match="0 frames"):
        read(_edit(data[:-BODY_BYTES], _body_at(data, 0.1) + 2, "<H", 0))


@pytest.mark.parametrize("fps", [0.0, -25.0, float("nan"), float("inf")])
def test_frames_per_second_are_read_as_they_are(fps, make_pose, to_bytes):
    data = _small_file(make_pose, to_bytes)
    np.testing.assert_equal(read(_edit(data, _body_at(data), "<f", fps)).body.fps, fps)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_point_with_a_number_that_is_not_finite_is_not_seen(number, axis, make_pose, to_bytes):
    pose = make_pose(3, people=2, components=SMALL)
    data, confidence = pose.body.data.data.copy(), pose.body.confidence.copy()
    pose.body.data.data[1, 0, 2, axis] = number
    pose.body.confidence[2, 1, 0] = number
    again = read(to_bytes(pose))
    data[1, 0, 2] = data[2, 1, 0] = 0
    confidence[1, 0, 2] = confidence[2, 1, 0] = 0
    np.testing.assert_array_equal(again.body.data.data, data)
    np.testing.assert_array_equal(again.body.confidence, confidence)
    np.testing.assert_array_equal(again.body.data.mask, np.repeat(confidence[..., None] == 0, 3, axis=-1))
    assert np.argwhere(again.not_finite).tolist() == [[1, 0, 2], [2, 1, 0]]


def test_what_hides_under_confidence_0_becomes_0(make_pose, to_bytes):
    pose = make_pose(missing={"RIGHT_HAND_LANDMARKS": [1]}, components=SMALL)
    pose.body.data.data[1, 0, 2] = (np.nan, np.inf, 5)
    again = read(to_bytes(pose))
    assert again.body.data.data[1, 0, 2].tolist() == [0, 0, 5]
    assert again.body.data.mask[1, 0, 2].all()
    assert not again.not_finite.any()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ReadLimits(max_bytes=200), "bytes; at most 200 are read"),
        (ReadLimits(max_header_bytes=100), "at most 100 are read"),
        (ReadLimits(max_components=1), "2 components; at most 1 are read"),
        (ReadLimits(max_points=2), "3 points.*; at most 2 are read"),
        (ReadLimits(max_frames=2), "3 frames; at most 2 are read"),
    ],
)
@pytest.mark.parametrize("known_layout", [False, True])
def test_limits_hold_for_known_layouts_too(limits, message, known_layout, make_pose, to_bytes, monkeypatch):
    monkeypatch.setattr("poses.headers._layouts", ())
    data = _small_file(make_pose, to_bytes)
    if known_layout:
        read(data)
    with pytest.raises(PoseTooLargeError, match=message):
        read(data, limits=limits)
