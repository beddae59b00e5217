"""Videos of every kind come out upright and whole; those made to harm are refused, in bounded time and memory."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simple_video_utils.frames import read_frames_exact
from simple_video_utils.metadata import video_metadata

from tests.video.make_videos import (
    clip,
    corner,
    encode,
    fast_start,
    gif_canvas,
    moving,
    person,
    recorded,
    trimmed,
    with_sound,
)
from video.decoding import VideoReader
from video.errors import (
    TooManyFramesError,
    VideoCodecError,
    VideoEmptyError,
    VideoError,
    VideoSizeChangeError,
    VideoTooLargeError,
    VideoTooLongError,
    VideoTruncatedError,
    VideoUnreadableError,
)
from video.estimates import VideoFacts, VideoLimits

FAST_AV1 = {"preset": "12", "svtav1-params": "lp=1"}
LIMITS = VideoLimits()


def read(data: bytes, limits: VideoLimits = LIMITS) -> tuple[list[np.ndarray], VideoFacts]:
    with VideoReader(data, limits) as reader:
        return list(reader.frames()), reader.facts()


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


def test_what_is_declared_is_refused_before_it_is_decoded() -> None:
    data = encode(corner(60, 64, 64))
    for limits, error in (
        (replace(LIMITS, max_seconds=2.0), VideoTooLongError),
        (replace(LIMITS, max_frames=59), TooManyFramesError),
        (replace(LIMITS, max_side=63), VideoTooLargeError),
        (replace(LIMITS, max_pixels=4095), VideoTooLargeError),
        (replace(LIMITS, max_rate=20.0), VideoTooLargeError),
        (replace(LIMITS, max_bytes=len(data) - 1), VideoTooLargeError),
    ):
        with pytest.raises(error):
            VideoReader(data, limits)
    assert read(data, replace(LIMITS, max_frames=60, max_side=64, max_bytes=len(data)))[1].frames == 60


@pytest.mark.parametrize(
    ("whole", "error"),
    [
        (fast_start, VideoTruncatedError),
        (lambda: encode(corner(60, 96, 64)), VideoUnreadableError),
        (lambda: encode(moving(40), container="webm", codec="libvpx", options={"g": "5"}), VideoTruncatedError),
        (lambda: encode(moving(40), container="matroska", options={"g": "5"}), VideoTruncatedError),
        (lambda: with_sound(60, 2.4), VideoTruncatedError),
        (lambda: with_sound(60, 2.4, container="matroska"), VideoTruncatedError),
    ],
    ids=["index first", "index last", "webm", "matroska", "webm with sound", "matroska with sound"],
)
def test_a_video_that_was_cut_off_is_refused(whole: Any, error: type[VideoError]) -> None:
    data = whole()
    with pytest.raises(error):
        read(data[: len(data) // 2])
    assert read(data)[1].frames in (40, 60)


def test_a_size_that_changes_on_the_way_is_refused() -> None:
    small = encode(corner(20, 64, 64), container="mpegts")
    with pytest.raises(VideoSizeChangeError, match="2048 × 2048"):
        read(small + encode(corner(3, 2048, 2048), container="mpegts", options={"preset": "ultrafast"}))
    # Past the limit, the decoder itself refuses before it allocates.
    large = encode(corner(8, 2048, 2048), container="mpegts", options={"preset": "ultrafast"})
    with pytest.raises(VideoUnreadableError, match=r"pieces do not decode after \d+ good frames"):
        read(small + large, replace(LIMITS, max_pixels=512 * 512))


def test_a_canvas_is_measured_before_it_is_allocated() -> None:
    with pytest.raises(VideoTooLargeError, match="65535 × 65535"):
        read(gif_canvas(65535, 65535))
    assert len(gif_canvas(65535, 65535)) < 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 4096,
        b"not a video " * 100,
        b"GIF89a",
        b"\x1aE\xdf\xa3" + b"\xff" * 200,
        b"\0\0\0\x20ftypisom" + b"\xff" * 500,
        b"RIFF\xff\xff\xff\xffAVI " + b"\0" * 300,
        b"G" * 188 * 20,
    ],
    ids=range(8),
)
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(VideoError):
        read(data)


def test_a_picture_is_no_video() -> None:
    import cv2

    for kind in (".png", ".jpg", ".webp"):
        with pytest.raises(VideoError):
            read(cv2.imencode(kind, person())[1].tobytes())


def test_sound_alone_is_no_video() -> None:
    import io
    import wave

    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 8000)
    with pytest.raises(VideoError):
        read(file.getvalue())


def test_a_codec_off_the_list_is_refused() -> None:
    with pytest.raises(VideoCodecError, match="ffv1"):
        read(encode(corner(3, 64, 64), container="matroska", codec="ffv1"))


@pytest.mark.parametrize("cut", range(1, 24))
def test_damage_gives_a_typed_error_or_a_video(cut: int) -> None:
    data = bytearray(clip(8, container="mp4" if cut % 2 else "webm", codec="libx264" if cut % 2 else "libvpx"))
    places = np.random.default_rng(cut).integers(0, len(data), 3 * cut)
    for place in places:
        data[place] ^= 1 + place % 255
    try:
        frames, _ = read(bytes(data))
    except VideoError:
        return
    assert len(frames) >= 1


def test_a_video_opens_nothing_beside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listening socket and a canary file: neither is touched by playlists, however they are dressed up."""
    monkeypatch.chdir(tmp_path)  # names without a folder are the ones that demuxers take for harmless
    canary = tmp_path / "canary.ts"
    canary.write_bytes(encode(corner(5, 64, 64), container="mpegts"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        came = threading.Event()

        def listen() -> None:
            try:
                while True:
                    server.accept()[0].close()
                    came.set()
            except OSError:  # shut down below
                pass

        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        playlists = [
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{place}\n#EXT-X-ENDLIST\n"
            for place in (url, f"file://{canary}", str(canary), f"concat:{canary}|{canary}")
        ]
        playlists += [f"ffconcat version 1.0\nfile '{place}'\n" for place in (url, canary, canary.name)]
        playlists += [f"ffconcat version 1.0\nfile {canary.name}\nduration 1\n"]
        playlists += [f"#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI={url}\n#EXTINF:9,\n{canary}\n"]
        listener = threading.Thread(target=listen)
        listener.start()
        for playlist in playlists:
            with pytest.raises(VideoError):
                read(playlist.encode())
        # What listens would hear of a connection that is made on purpose.
        assert not came.is_set()
        socket.create_connection(server.getsockname()).close()
        assert came.wait(30)
        server.shutdown(socket.SHUT_RDWR)
        listener.join()


def test_a_cover_is_no_video_and_the_film_beside_it_is_found() -> None:
    with pytest.raises(VideoEmptyError):
        read(_with_cover(film=False))
    _, facts = read(_with_cover(film=True))
    assert (facts.frames, facts.width) == (6, 96)


def _with_cover(*, film: bool) -> bytes:
    """An MP4 with a cover picture before its film, or with sound alone beside the cover."""
    import io

    import av
    from av.stream import Disposition

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        cover: Any = output.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = Disposition.attached_pic
        stream: Any = output.add_stream("libx264", rate=25) if film else output.add_stream("aac", rate=8000)
        if film:
            stream.width, stream.height = 96, 64
        picture = av.VideoFrame.from_ndarray(person(64, 64), "rgb24")
        output.mux(cover.encode(picture.reformat(format="yuvj420p")))
        output.mux(cover.encode(None))
        if film:
            for shown in corner(6, 96, 64):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        else:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
            silence.sample_rate = 8000
            output.mux(stream.encode(silence))
        output.mux(stream.encode(None))
    return file.getvalue()
