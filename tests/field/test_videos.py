"""Videos as cameras, browsers and archives really write them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest

import poses
from tests.field.inputs import read_data
from tests.video.make_videos import Picture, clip, corner, encode, moving, recorded, trimmed
from video.decoding import VideoReader
from video.errors import (
    VideoCodecError,
    VideoFormatError,
    VideoTooLargeError,
    VideoTooLongError,
)
from video.estimates import VideoFacts, VideoLimits
from video.holistic import Tracker, estimate, silence_stderr

LIMITS = VideoLimits()
ONE = 1 << 16  # of the matrix's numbers with 16 bits behind the point


def read(data: bytes, limits: VideoLimits = LIMITS) -> tuple[list[np.ndarray], VideoFacts]:
    with VideoReader(data, limits) as reader:
        return list(reader.frames()), reader.facts()


def stored(data: bytes) -> list[np.ndarray]:
    """Pictures as they are stored, without the note on how to show them."""
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def with_matrix(numbers: Sequence[float], *, container: str = "mp4") -> bytes:
    """A clip whose display matrix has these four numbers."""
    file = io.BytesIO()
    a, b, c, d = (round(number * ONE) for number in numbers)
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for picture in moving(3, 96, 64):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode(None))
    return file.getvalue()


# What ffmpeg 5.1's autorotate shows of each, to the pixel.
MATRICES: dict[str, tuple[Sequence[float], Callable[[Picture], Picture], int]] = {
    "as it is": ((1, 0, 0, 1), lambda picture: picture, 0),
    "a front camera's mirror": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1], 0),
    "upside down by a mirror": ((1, 0, 0, -1), lambda picture: picture[::-1], 180),
    "half a turn": ((-1, 0, 0, -1), lambda picture: picture[::-1, ::-1], 180),
    "a quarter turn": ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1), 270),
    "three quarters": ((0, -1, 1, 0), np.rot90, 90),
    "a mirror and a quarter turn": ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1), 90),
    "a mirror and three quarters": ((0, -1, -1, 0), lambda picture: picture[::-1, ::-1].swapaxes(0, 1), 270),
    "a mirror at twice the size": ((-2, 0, 0, 2), lambda picture: picture[:, ::-1], 0),
    "a quarter turn, not quite": ((0.004, 1, -1, 0.004), lambda picture: np.rot90(picture, -1), 270),
    "nothing at all": ((0, 0, 0, 0), lambda picture: picture, 0),
}


@pytest.mark.parametrize("container", ["mp4", "mov"])
@pytest.mark.parametrize("case", MATRICES)
def test_pictures_are_shown_as_players_show_them(case: str, container: str) -> None:
    numbers, show, rotation = MATRICES[case]
    data = with_matrix(numbers, container=container)
    frames, facts = read(data)
    np.testing.assert_array_equal(frames, [show(picture) for picture in stored(data)])
    assert facts.rotation == rotation
    assert (facts.width, facts.height) == (frames[0].shape[1], frames[0].shape[0])


def test_other_turns_are_near_what_players_show() -> None:
    """By 30° clockwise: the middle stays, the corners turn black."""
    data = with_matrix((0.8660254, 0.5, -0.5, 0.8660254))
    frames, facts = read(data)
    assert facts.rotation == 330
    assert frames[0].shape == (64, 96, 3)
    assert not frames[0][0, 0].any()
    middle = slice(30, 34), slice(46, 50)
    assert abs(frames[0][middle].mean() - stored(data)[0][middle].mean()) < 25


def test_a_selfie_is_shown_unmirrored() -> None:
    data = read_data("selfie_mirror_matrix.mp4")
    frames, facts = read(data)
    assert (facts.frames, facts.width, facts.height, facts.rotation) == (58, 540, 720, 0)
    np.testing.assert_array_equal(frames[0], stored(data)[0][:, ::-1])


@pytest.fixture(scope="module")
def tracker() -> Iterator[Tracker]:
    with silence_stderr():
        tracker = Tracker()
        yield tracker
        tracker.close()


@pytest.mark.parametrize(
    ("make", "warning"),
    [
        (lambda: read_data("sideways.webm"), "sideways"),
        (lambda: encode([np.rot90(picture, 2) for picture in moving(6)]), "upside down"),
        (lambda: encode([np.rot90(picture) for picture in moving(6)]), "sideways"),
        (lambda: clip(6), None),
    ],
    ids=["a phone's WebM", "upside down", "sideways", "upright"],
)
def test_a_video_on_its_side_is_warned_of(make: Callable[[], bytes], warning: str | None, tracker: Tracker) -> None:
    tracker.reset()
    found = poses.find_warnings(poses.read(estimate(make(), tracker).pose))
    turned = [line for line in found if "signer" in line]
    assert not turned if warning is None else any(warning in line for line in turned)


# Containers


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mpeg", "mpeg1video", 25), ("mpeg", "mpeg2video", 30), ("vob", "mpeg2video", 25), ("dvd", "mpeg2video", 25),
        ("flv", "flv", 25), ("flv", "libx264", 25), ("asf", "wmv2", 25), ("asf", "wmv1", 25), ("asf", "msmpeg4", 25),
        ("ogg", "libvpx", 25), ("3gp", "libx264", 25),
    ],
)  # fmt: skip
def test_containers_of_archives_are_read(container: str, codec: str, rate: int) -> None:
    data = encode(corner(12, 96, 64), container=container, codec=codec, rate=rate)
    frames, facts = read(data)
    assert (len(frames), facts.width, facts.height) == (12, 96, 64)
    assert facts.fps == pytest.approx(rate, rel=0.01)
    assert frames[0][:20, :20].mean() > 200


def test_rwth_fingerspellings_program_stream_is_read() -> None:
    with VideoReader(read_data("rwth_like.mpg")) as reader:
        assert reader.declared_frames == 36
        frames = list(reader.frames())
    assert (len(frames), reader.facts().codec, frames[0].shape) == (36, "mpeg1video", (480, 360, 3))


def test_a_flash_film_is_named_and_a_way_out() -> None:
    data = encode(corner(5, 96, 64), container="swf", codec="flv")
    with pytest.raises(VideoFormatError, match=r"a Flash film \(SWF\), which is not read here: convert it.*ffmpeg -i"):
        read(data)
    with pytest.raises(VideoFormatError, match="a bare MPEG picture stream"):
        read(encode(corner(5, 96, 64), container="mpeg2video", codec="mpeg2video"))


def test_a_codec_that_is_not_read_is_named_and_a_way_out() -> None:
    with pytest.raises(VideoCodecError, match=r"pictures coded as ffv1.*ffmpeg -i"):
        read(encode(corner(3, 64, 64), container="matroska", codec="ffv1"))


# Streams


def several(*streams: tuple[int, bool | None], container: str = "matroska") -> bytes:
    """Streams of pictures of a width each, marked as default or not."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        added: list[Any] = []
        for width, default in streams:
            stream: Any = output.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, 64, "yuv420p"
            if default is not None:
                stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
            added.append(stream)
        for picture in corner(4, 64, 64):
            for stream in added:
                frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(stream.width, 64, "yuv420p")
                output.mux(stream.encode(frame))
        for stream in added:
            output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("streams", "width"),
    [
        (((64, False), (128, True)), 128),
        (((128, False), (64, True)), 64),
        (((64, False), (128, False), (96, False)), 128),
        (((64, True), (128, True)), 128),
    ],
)
def test_the_default_stream_or_the_largest_is_taken(streams: Any, width: int) -> None:
    frames, facts = read(several(*streams))
    assert (facts.width, len(frames)) == (width, 4)


# Time


@pytest.mark.parametrize("rate", [240, 120])
def test_slow_motion_is_read(rate: int) -> None:
    assert read(encode(corner(30, 64, 64), rate=rate))[1].fps == pytest.approx(rate)


def test_slow_motion_that_measures_more_than_its_name_is_read() -> None:
    frames, facts = read(read_data("slow_motion_240_3.mp4"))
    assert (len(frames), facts.fps) == (58, pytest.approx(240.3))


@pytest.mark.parametrize("rate", [1000, 500, 1])
def test_a_declared_rate_is_a_claim(rate: int) -> None:
    times = [40 * index for index in range(20)]
    data = encode(corner(20, 64, 64), container="webm", codec="libvpx", times=times, rate=rate)
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].average_rate == rate
    frames, facts = read(data)
    assert len(frames) == 20
    assert facts.fps == pytest.approx(25, rel=0.06)


def test_a_rate_by_time_stamps_is_held_against_the_limit() -> None:
    data = encode(corner(20, 64, 64), container="webm", codec="libvpx", times=list(range(20)), rate=1000)
    with pytest.raises(VideoTooLargeError, match="1000 frames per second by the time stamps; at most 240 are read"):
        read(data)


def test_two_frames_close_together_are_no_rate() -> None:
    assert read(recorded([0, 1, 33, 66]))[1].frames == 4


def shifted(data: bytes, seconds: float, container: str) -> bytes:
    """The same pieces with a clock that starts later."""
    file = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(file, "w", format=container) as output:
        stream: Any = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        shift = round(seconds / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("container", ["matroska", "mp4", "mov", "mpegts", "flv"])
@pytest.mark.parametrize("start_s", [0.5, 3600.0, 90_000.0])
def test_a_clock_that_starts_late_makes_no_clip_long(container: str, start_s: float) -> None:
    data = shifted(clip(25), start_s, container)
    frames, facts = read(data, replace(LIMITS, max_seconds=2.0))
    assert len(frames) == 25
    assert facts.duration_s == pytest.approx(1.0, rel=0.05)
    with pytest.raises(VideoTooLongError, match=r"seconds from the first frame to the last; at most 0\.5 are read"):
        read(data, replace(LIMITS, max_seconds=0.5))


def test_a_stream_recorder_that_starts_at_one_hour_is_read() -> None:
    frames, facts = read(read_data("starts_at_one_hour.webm"))
    assert (len(frames), facts.duration_s) == (30, pytest.approx(1.0, rel=0.01))


def test_a_clip_that_was_trimmed_keeps_its_length() -> None:
    data = trimmed(encode(moving(100), options={"g": "50"}), 3.0)
    assert read(data, replace(LIMITS, max_seconds=1.0))[1].frames == 25
