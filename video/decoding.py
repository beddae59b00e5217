"""Bytes of a video in, upright RGB frames out, one at a time, within limits.

A video from outside may name other files and addresses, declare one size and unpack to another, or turn its pictures
by a note that most readers overlook. What is read here is read from memory: the library below is given no file name
and may open no protocol.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from video.errors import (
    TooManyFramesError,
    VideoCodecError,
    VideoEmptyError,
    VideoSizeChangeError,
    VideoTooLargeError,
    VideoTooLongError,
    VideoTruncatedError,
    VideoUnreadableError,
)
from video.estimates import VideoFacts, VideoLimits

Frame = npt.NDArray[np.uint8]

# Containers of clips. Playlists (m3u8, ffconcat) would open what they name; pictures (png_pipe) are no videos.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts"
# What phones, browsers, cameras and archives write.
_CODECS = {"h264", "hevc", "vp8", "vp9", "av1", "gif", "mjpeg", "mpeg4", "mpeg1video", "mpeg2video", "h263", "prores"}
# "none" is no protocol: nothing can be opened beside the bytes at hand.
_OPEN_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
_READ_BYTES = 1024 * 1024
_ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
# Beyond this, a pixel's shape is a damaged number: anamorphic film has 2.
_MOST_PIXEL_ASPECT = 4
# simple-video-utils' calibration: converting smaller pictures in two threads costs more than it saves.
_ONE_THREAD_PIXELS = 300_000
# A video may lack this share of what it declares, or so much: headers round, and count what never shows.
_MISSING_SHARE, _MISSING_FRAMES, _MISSING_S = 0.1, 2, 0.5
_DEFAULT_LIMITS = VideoLimits()


class VideoReader:
    """A video in memory, to be read once from its start to its end.

    Attributes:
        declared_frames: how many there should be; None when nothing says so.
        bad_packets: pieces that did not decode and were left out.
    Raises:
        VideoError: and nothing else, whatever the bytes are; here or while reading.
    """

    def __init__(self, data: bytes, limits: VideoLimits = _DEFAULT_LIMITS) -> None:
        self._limits = limits
        if len(data) > limits.max_bytes:
            raise VideoTooLargeError(f"{len(data)} bytes; at most {limits.max_bytes} are read")
        _check_gif(data, limits)
        with _translated("the bytes are no video that is read here"):
            self._container = av.open(
                io.BytesIO(data), "r", options=_OPEN_OPTIONS, metadata_errors="replace", buffer_size=_READ_BYTES
            )
        try:
            self._stream = _pictures(self._container)
            self._seconds = self._declared_seconds()
            self.declared_frames = self._declared_frames()
            self._check_declared()
            context = self._stream.codec_context
            context.options = {"max_pixels": str(limits.max_pixels)}  # what av.open is given does not reach the decoder
            # Slices, not whole frames: a thread a frame would hold so many more pictures.
            context.thread_type, context.thread_count = "SLICE", 2
        except BaseException:
            self._container.close()
            raise
        self._reformatter = VideoReformatter()
        self._first: VideoFrame | None = None
        self._last_time = 0.0
        self._count = 0
        self._size = (0, 0)
        self.bad_packets = 0

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[Frame]:
        """Decode, one by one, in display orientation, with square pixels.

        Yields:
            uint8 (height, width, 3), RGB, contiguous; the same size every time.
        Raises:
            VideoError: the video is damaged, or exceeds a limit.
        Source: simple_video_utils.frames.read_frames_exact, which this equals for square pixels.
        """
        for frame in self._decoded():
            self._check(frame)
            self._count += 1
            picture = self._upright(frame)
            self._size = (picture.shape[1], picture.shape[0])
            yield picture
        self._check_end()

    def facts(self) -> VideoFacts:
        """Describe what was read so far; at least one frame must have been."""
        fps = self._rate()
        width, height = self._size
        return VideoFacts(
            width=width,
            height=height,
            fps=fps,
            frames=self._count,
            duration_s=self._count / fps,
            rotation=_rotation(self._first) if self._first is not None else 0,
            codec=self._stream.codec_context.codec.canonical_name,
        )

    def _declared_seconds(self) -> float | None:
        """How long the pictures last by the header. A container's own length may be that of its sound."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        noted = _seconds(self._stream.metadata.get("DURATION", ""))  # of a track in Matroska and WebM
        if noted:
            return noted
        if self._container.duration and len(self._container.streams) == 1:
            return self._container.duration / av.time_base
        return None

    def _declared_frames(self) -> int | None:
        rate = self._stream.average_rate
        by_length = round(self._seconds * float(rate)) if self._seconds and rate else 0
        # An index also counts what an edit list hides: a clip that was trimmed without being coded anew holds more.
        known = [frames for frames in (self._stream.frames, by_length) if frames > 0]
        return min(known, default=None)

    def _check_declared(self) -> None:
        limits, stream = self._limits, self._stream
        codec = stream.codec_context.codec.canonical_name
        if codec not in _CODECS:
            raise VideoCodecError(f"pictures coded as {codec}; there are read: {', '.join(sorted(_CODECS))}")
        _check_size(stream.width, stream.height, limits)
        if self._seconds is not None and self._seconds > limits.max_seconds:
            raise VideoTooLongError(f"{self._seconds:.1f} seconds; at most {limits.max_seconds:g} are read")
        if stream.average_rate and float(stream.average_rate) > limits.max_rate:
            rate = float(stream.average_rate)
            raise VideoTooLargeError(f"{rate:g} frames per second; at most {limits.max_rate:g} are read")
        if stream.frames and self.declared_frames is not None and self.declared_frames > limits.max_frames:
            raise TooManyFramesError(f"{self.declared_frames} frames; at most {limits.max_frames} are taken")

    def _decoded(self) -> Iterator[VideoFrame]:
        with _translated("the video is damaged"):
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except MemoryError:
                    raise
                except FFmpegError as error:
                    self.bad_packets += 1
                    if self.bad_packets > self._limits.max_bad_packets:
                        raise VideoUnreadableError(
                            f"{self.bad_packets} pieces do not decode after {self._count} good frames; "
                            f"at most {self._limits.max_bad_packets} may"
                        ) from error
                    continue
                yield from frames

    def _check(self, frame: VideoFrame) -> None:
        if self._first is None:
            _check_size(frame.width, frame.height, self._limits)
            self._first = frame
        first = self._first
        if (frame.width, frame.height) != (first.width, first.height):
            raise VideoSizeChangeError(
                f"frame {self._count} is {frame.width} × {frame.height}, the first {first.width} × {first.height}"
            )
        if self._count >= self._limits.max_frames:
            raise TooManyFramesError(f"more than {self._limits.max_frames} frames; no more are taken")
        if frame.time is not None and first.time is not None:
            self._last_time = max(self._last_time, frame.time - first.time)
            if self._last_time > self._limits.max_seconds:
                raise VideoTooLongError(f"more than {self._limits.max_seconds:g} seconds; no more are read")

    def _upright(self, frame: VideoFrame) -> Frame:
        width, height = _square(frame.width, frame.height, self._stream.sample_aspect_ratio)
        _check_size(width, height, self._limits)
        threads = 1 if width * height < _ONE_THREAD_PIXELS else 2
        picture = self._reformatter.reformat(frame, width, height, "rgb24", threads=threads).to_ndarray()
        turn = _ROTATIONS.get(_rotation(frame))
        if turn is not None:
            picture = cv2.rotate(picture, turn)
        # Rows may be padded, and MediaPipe wants them one after the other.
        return np.ascontiguousarray(picture, dtype=np.uint8)

    def _rate(self) -> float:
        """Frames per second of the stream, or, where it names none, of the frames that were seen."""
        if self._stream.average_rate:
            return float(self._stream.average_rate)
        if self._count < 2 or not self._last_time:
            raise VideoUnreadableError(f"nothing says how fast {self._count} frames follow each other")
        rate = (self._count - 1) / self._last_time
        if rate > self._limits.max_rate:
            raise VideoTooLargeError(f"{rate:g} frames per second; at most {self._limits.max_rate:g} are read")
        return rate

    def _check_end(self) -> None:
        """Tell a video that was cut off: it decodes without a fault up to there."""
        if not self._count:
            raise VideoEmptyError("not one frame decodes")
        declared = self.declared_frames if self._stream.frames and self.declared_frames else 0
        missing = declared - self._count
        if missing > max(_MISSING_FRAMES, _MISSING_SHARE * declared):
            raise VideoTruncatedError(f"{self._count} frames of {declared} that the file declares")
        if declared or not self._seconds:
            return
        missing_s = self._seconds - self._last_time - 1 / self._rate()
        if missing_s > max(_MISSING_S, _MISSING_SHARE * self._seconds):
            covered = self._seconds - missing_s
            raise VideoTruncatedError(f"{covered:.2f} seconds of {self._seconds:.2f} that the file declares")


def _seconds(noted: str) -> float | None:
    """Seconds of "00:01:02.400000000"; None of anything else."""
    try:
        hours, minutes, seconds = noted.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def _check_gif(data: bytes, limits: VideoLimits) -> None:
    """Look at a GIF's size before the library does: it allocates the canvas while it opens the file."""
    if data[:4] == b"GIF8" and len(data) >= 10:
        _check_size(int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"), limits)


def _pictures(container: Any) -> VideoStream:
    """The first stream of pictures that is no cover."""
    for stream in container.streams.video:
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image):
            found: VideoStream = stream
            if found.codec_context is None:
                raise VideoCodecError("pictures coded in a way that is unknown here")
            return found
    raise VideoEmptyError(f"{len(container.streams)} streams, and none of moving pictures")


def _check_size(width: int, height: int, limits: VideoLimits) -> None:
    if width < 1 or height < 1:
        raise VideoUnreadableError(f"pictures of {width} × {height} pixels")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise VideoTooLargeError(
            f"{width} × {height} pixels; at most {limits.max_side} a side and {limits.max_pixels} in all are read"
        )


def _square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size at which pixels are square; the picture only ever grows."""
    if not aspect or aspect == 1:
        return width, height
    if not 1 / _MOST_PIXEL_ASPECT <= aspect <= _MOST_PIXEL_ASPECT:
        raise VideoUnreadableError(f"pixels {float(aspect):g} times as wide as high; at most {_MOST_PIXEL_ASPECT} are")
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _rotation(frame: VideoFrame) -> int:
    """Degrees counterclockwise to upright; what is no quarter turn is left alone, as pose-format does."""
    turn = int(frame.rotation) % 360
    return turn if turn in _ROTATIONS else 0


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn the library's errors into ours; its own messages may quote what a file says."""
    try:
        yield
    except MemoryError as error:
        raise VideoTooLargeError("the video needs more memory than one may have") from error
    except (FFmpegError, OSError, ValueError, OverflowError) as error:
        raise VideoUnreadableError(f"{what} ({type(error).__name__})") from error
