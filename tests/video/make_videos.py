"""Videos to test with: a person who moves a little, in any container and codec, and files made to harm."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, Unpack

import av
import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]


@cache
def person(width: int = 192, height: int = 192) -> Picture:
    """Somebody in full view of the camera, RGB."""
    from skimage.data import astronaut

    return np.ascontiguousarray(cv2.resize(astronaut(), (width, height), interpolation=cv2.INTER_AREA))


def moving(frames: int, width: int = 192, height: int = 192, *, seed: int = 0) -> list[Picture]:
    """The person, shifted by a few pixels from frame to frame."""
    steps = np.random.default_rng(seed).integers(-2, 3, (frames, 2)).cumsum(axis=0)
    return [np.roll(person(width, height), tuple(step), axis=(0, 1)) for step in steps]


def corner(frames: int, width: int, height: int) -> list[Picture]:
    """Gray pictures with a white top left quarter: shows which way is up."""
    picture = np.full((height, width, 3), 60, np.uint8)
    picture[: height // 2, : width // 2] = 255
    return [picture] * frames


class Coding(TypedDict, total=False):
    """How pictures are encoded.

    Attributes:
        rotation: degrees counterclockwise by which a player is to turn them.
        aspect: width of a pixel over its height.
        times: of each picture, in thousandths of a second; None: as the rate says.
    """

    container: str
    codec: str
    pixels: str
    rate: int
    rotation: int
    aspect: Fraction | None
    times: Sequence[int] | None
    options: dict[str, str]
    container_options: dict[str, str]


def encode(pictures: Sequence[Picture], **coding: Unpack[Coding]) -> bytes:
    """Encode pictures; what is not said is as phones do it: H.264 in MP4, 25 a second."""
    pixels, times = coding.get("pixels", "yuv420p"), coding.get("times")
    file = io.BytesIO()
    with av.open(
        file, "w", format=coding.get("container", "mp4"), options=coding.get("container_options", {})
    ) as output:
        stream: Any = output.add_stream(
            coding.get("codec", "libx264"), rate=coding.get("rate", 25), options=coding.get("options", {})
        )
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if coding.get("aspect") is not None:
            stream.codec_context.sample_aspect_ratio = coding["aspect"]
        if coding.get("rotation"):
            stream.set_display_rotation(coding["rotation"])
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def clip(frames: int = 12, *, seed: int = 0, **options: Any) -> bytes:
    """An H.264 clip of the person."""
    return encode(moving(frames, seed=seed), **options)


def recorded(times: Sequence[int], *, codec: str = "libvpx", sound: bool = False) -> bytes:
    """A WebM as MediaRecorder of a browser makes it: live, so that no length, rate or index stands in it.

    Args:
        times: of the frames, in thousandths of a second, as uneven as a camera's are.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="webm", container_options={"live": "1"}) as output:
        stream: Any = output.add_stream(codec, rate=30, options={"deadline": "realtime", "cpu-used": "8"})
        stream.width = stream.height = 192
        stream.codec_context.time_base = Fraction(1, 1000)
        voice: Any = output.add_stream("libopus", rate=48000, layout="mono") if sound else None
        for time, picture in zip(times, moving(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            output.mux(stream.encode(frame))
            if sound:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="flt", layout="mono")
                silence.sample_rate, silence.pts, silence.time_base = 48000, time * 48, Fraction(1, 48000)
                output.mux(voice.encode(silence))
        for track in (stream, voice) if sound else (stream,):
            output.mux(track.encode(None))
    # The encoder notes the duration of a frame (DefaultDuration), which browsers do not; padding takes its place.
    return file.getvalue().replace(b"\x23\xe3\x83\x84", b"\xec\x86\x00\x00")


def fast_start(frames: int = 60) -> bytes:
    """A clip whose index comes first, so that its beginning alone can be read."""
    # The index is moved by writing the file anew, which needs a file on a disk.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w", options={"movflags": "faststart"}) as output:
            stream: Any = output.add_stream("libx264", rate=25, options={"g": "10"})
            stream.width = stream.height = 192
            for picture in moving(frames):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            output.mux(stream.encode(None))
        return path.read_bytes()


def trimmed(data: bytes, start_s: float, *, container: str = "mp4") -> bytes:
    """Cut the beginning off without coding anew, as phones and `ffmpeg -ss … -c copy` do.

    What comes before the start stays in the file, as far back as the next frame that stands alone, and is hidden by an
    edit list.
    """
    file = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(file, "w", format=container) as output:
        stream: Any = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        shift = round(start_s / stream.time_base)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        keys = [packet.pts for packet in packets if packet.is_keyframe and packet.pts <= shift]
        for packet in packets:
            if packet.pts >= keys[-1]:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
                output.mux(packet)
    return file.getvalue()


def with_sound(frames: int, sound_s: float, *, container: str = "webm") -> bytes:
    """A clip of 25 frames a second beside a sound of any length."""
    web = container == "webm"
    codec, voice_codec, rate, kind = ("libvpx", "libopus", 48000, "flt") if web else ("libx264", "aac", 8000, "fltp")
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=25, options={"g": "5"})
        stream.width = stream.height = 192
        voice: Any = output.add_stream(voice_codec, rate=rate, layout="mono")
        step = round(rate / 25)
        shown = moving(frames)
        for index in range(max(frames, round(sound_s * 25))):
            if index < frames:
                frame = av.VideoFrame.from_ndarray(shown[index], "rgb24").reformat(format="yuv420p")
                output.mux(stream.encode(frame))
            if index < sound_s * 25:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, step), np.float32), format=kind, layout="mono")
                silence.sample_rate, silence.pts, silence.time_base = rate, index * step, Fraction(1, rate)
                output.mux(voice.encode(silence))
        for track in (stream, voice):
            output.mux(track.encode(None))
    return file.getvalue()


def gif_canvas(width: int, height: int) -> bytes:
    """A GIF of one picture of one pixel on a canvas of any size."""
    size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return (
        b"GIF89a" + size + b"\x80\x00\x00" + b"\x00\x00\x00\xff\xff\xff"
        + b"\x2c\x00\x00\x00\x00" + b"\x01\x00\x01\x00\x00" + b"\x02\x02\x44\x01\x00\x3b"
    )  # fmt: skip
