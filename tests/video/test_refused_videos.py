"""Videos that are damaged, too large, made to harm, or no videos are refused, in bounded time and memory."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.video.make_videos import (
    clip,
    corner,
    encode,
    fast_start,
    gif_canvas,
    moving,
    person,
    with_sound,
)
from tests.video.read_videos import LIMITS, read
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
    with pytest.raises(VideoEmptyError, match=r"has no moving pictures.* Record or export it again"):
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


@pytest.mark.parametrize("noted", ["00:00:nan", "00:00:inf", "00:00:1e400", "00:00:-5", f"{'9' * 12}:00:00"])
def test_a_length_that_is_no_number_of_seconds_counts_as_none(noted: str) -> None:
    data = encode(moving(20), container="matroska")
    at = data.index(b"00:00:00.8")
    length = data[at : data.index(b"\0", at)]
    spoilt = data.replace(length, noted.encode().ljust(len(length), b"\0"))
    assert read(spoilt)[1] == read(data)[1]
