"""Videos of every kind come out upright and whole."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simple_video_utils.frames import read_frames_exact
from simple_video_utils.metadata import video_metadata

from tests.video.make_videos import (
    corner,
    encode,
    moving,
    recorded,
    trimmed,
    with_sound,
)
from tests.video.read_videos import LIMITS, read
from video.decoding import VideoReader
from video.errors import (
    TooManyFramesError,
    VideoTooLongError,
)

FAST_AV1 = {"preset": "12", "svtav1-params": "lp=1"}


def white_corner(picture: np.ndarray) -> str:
    """Which quarter is white."""
    height, width = picture.shape[:2]
    rows = {"top": height // 4, "bottom": 3 * height // 4}
    columns = {"left": width // 4, "right": 3 * width // 4}
    found = [
        f"{row} {column}" for row in rows for column in columns if picture[rows[row], columns[column]].mean() > 200
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("made", "size", "codec"),
    [
        ({}, (96, 64), "h264"),
        ({"container": "mov"}, (96, 64), "h264"),
        ({"container": "matroska"}, (96, 64), "h264"),
        ({"container": "mpegts"}, (96, 64), "h264"),
        ({"container": "webm", "codec": "libvpx"}, (96, 64), "vp8"),
        ({"container": "webm", "codec": "libvpx-vp9", "options": {"deadline": "realtime"}}, (96, 64), "vp9"),
        ({"codec": "libx265", "options": {"x265-params": "log-level=none"}}, (96, 64), "hevc"),
        ({"codec": "libsvtav1", "options": FAST_AV1}, (96, 64), "av1"),
        ({"container": "webm", "codec": "libsvtav1", "options": FAST_AV1}, (96, 64), "av1"),
        ({"container": "gif", "codec": "gif", "pixels": "rgb8"}, (96, 64), "gif"),
        ({"container": "avi", "codec": "mjpeg", "pixels": "yuvj420p"}, (96, 64), "mjpeg"),
        ({"container": "avi", "codec": "mpeg4"}, (96, 64), "mpeg4"),
        ({"pixels": "yuv420p10le"}, (96, 64), "h264"),
        ({"pixels": "yuv444p"}, (97, 63), "h264"),
        ({"container": "webm", "codec": "libvpx-vp9", "options": {"deadline": "realtime"}}, (97, 63), "vp9"),
    ],
)  # fmt: skip
def test_common_formats_are_read_whole(made: dict[str, Any], size: tuple[int, int], codec: str) -> None:
    frames, facts = read(encode(corner(9, *size), **made))
    assert len(frames) == facts.frames == 9
    assert (facts.width, facts.height) == size
    assert facts.fps == pytest.approx(25)
    assert (facts.rotation, facts.codec) == (0, codec)
    for frame in frames:
        assert frame.shape == (size[1], size[0], 3)
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        assert white_corner(frame) == "top left"


@pytest.mark.parametrize(
    ("rotation", "size", "where"),
    [(90, (64, 96), "bottom left"), (180, (96, 64), "bottom right"), (270, (64, 96), "top right")],
)
def test_pictures_are_turned_as_players_turn_them(rotation: int, size: tuple[int, int], where: str) -> None:
    frames, facts = read(encode(corner(4, 96, 64), rotation=rotation))
    assert (facts.width, facts.height) == size
    assert facts.rotation == rotation
    assert all(white_corner(frame) == where for frame in frames)


@pytest.mark.parametrize(
    ("aspect", "rotation", "size"),
    [(Fraction(4, 3), 0, (128, 64)), (Fraction(1, 2), 0, (96, 128)), (Fraction(4, 3), 90, (64, 128))],
)
def test_pixels_become_square(aspect: Fraction, rotation: int, size: tuple[int, int]) -> None:
    frames, facts = read(encode(corner(3, 96, 64), aspect=aspect, rotation=rotation))
    assert (facts.width, facts.height) == size
    assert frames[0].shape == (size[1], size[0], 3)


def test_uneven_times_give_the_average_rate() -> None:
    times = [0, 40, 80, 300, 340, 900, 940, 1500]
    frames, facts = read(encode(corner(8, 96, 64), times=times))
    assert len(frames) == 8
    assert facts.fps == pytest.approx(8 / 1.5, rel=0.5)
    assert facts.duration_s == pytest.approx(8 / facts.fps)


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_a_clip_that_was_trimmed_without_coding_anew_is_read_as_players_show_it(container: str, tmp_path: Path) -> None:
    data = trimmed(encode(moving(100), options={"g": "50"}), 3.0, container=container)
    file = tmp_path / "clip"
    file.write_bytes(data)
    with VideoReader(data) as reader:
        declared = reader.declared_frames
        frames = list(reader.frames())
    assert declared == len(frames) == 25
    np.testing.assert_array_equal(frames, list(read_frames_exact(str(file))))


@pytest.mark.parametrize("container", ["webm", "matroska", "mp4"])
def test_the_length_of_the_sound_is_not_the_pictures(container: str) -> None:
    """Sound for ten seconds beside two seconds of pictures, within limits that would not bear ten."""
    data = with_sound(50, 10.0, container=container)
    frames, facts = read(data, replace(LIMITS, max_seconds=3.0))
    assert len(frames) == facts.frames == 50


@pytest.mark.parametrize("made", [{}, {"rotation": 90}, {"container": "webm", "codec": "libvpx"}], ids=str)
def test_frames_equal_those_that_pose_format_reads(made: dict[str, Any], tmp_path: Path) -> None:
    data = encode(moving(7), **made)
    file = tmp_path / "clip"
    file.write_bytes(data)
    expected = list(read_frames_exact(str(file)))
    frames, facts = read(data)
    np.testing.assert_array_equal(frames, expected)
    metadata = video_metadata(str(file))
    assert (facts.width, facts.height, facts.fps) == (metadata.width, metadata.height, metadata.fps)


def test_a_length_that_nothing_declares_is_counted() -> None:
    data = encode(corner(30, 64, 64), container="webm", codec="libvpx", container_options={"live": "1"})
    assert read(data)[1].frames == 30
    with pytest.raises(VideoTooLongError):
        read(data, replace(LIMITS, max_seconds=0.5))
    with pytest.raises(TooManyFramesError, match="more than 20 frames"):
        read(data, replace(LIMITS, max_frames=20))


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize("sound", [False, True])
def test_a_browsers_recording_is_read_though_it_says_nothing_of_its_length(codec: str, sound: bool) -> None:
    data = recorded([0, 1, 30, 71, 97, 140, 160, 202, 240], codec=codec, sound=sound)
    with VideoReader(data) as reader:
        assert reader.declared_frames is None
    frames, facts = read(data)
    assert (len(frames), facts.frames, facts.width) == (9, 9, 192)
    assert facts.fps == pytest.approx(8 / 0.24, rel=0.1)
