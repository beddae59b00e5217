"""From the bytes of a video to upright RGB frames, one at a time, within limits.

A video from outside may name other files and addresses. It may declare one size and unpack to another. It may turn or
mirror its pictures by a note that most readers overlook. Everything is read from memory here: the library gets no file
name and may open no protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from video.containers import (
    FEWEST_FRAMES_FOR_A_RATE,
    RATE_SLACK,
    check_rate,
    choose_stream,
    open_container,
    read_timeline,
    translate_errors,
)
from video.display import Turn, find_square_size, find_turn
from video.errors import (
    TooManyFramesError,
    VideoEmptyError,
    VideoSizeChangeError,
    VideoTooLargeError,
    VideoTooLongError,
    VideoTruncatedError,
    VideoUnreadableError,
)
from video.estimates import VideoFacts, VideoLimits

Frame = npt.NDArray[np.uint8]

# simple-video-utils' calibration: converting smaller pictures in two threads costs more than it saves.
_ONE_THREAD_PIXELS = 300_000
# A video may lack this share of what it declares, or so much: headers round, and count what never shows.
_MISSING_SHARE, _MISSING_FRAMES, _MISSING_S = 0.1, 2, 0.5
# A declared rate that is farther off than this factor from the time stamps is wrong: 1000 for a clock of thousandths.
_FAR_OFF = 1.25
# Streams for broadcast declare nothing: what the library calls their length is what it finds at their end.
_WITHOUT_LENGTH = ("mpeg", "mpegts")
_USUAL_RATE = 25.0  # of a single frame, which has none
# Digits alone, and few: Python would also read "nan", "inf" and numbers past what a float holds.
_NOTED_TIME = re.compile(r"([0-9]{1,6}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{0,12})?)")
_DEFAULT_LIMITS = VideoLimits()


class VideoReader:
    """A video in memory, to be read once from its start to its end.

    Attributes:
        declared_frames: how many frames there should be; None when the file does not say.
        bad_packets: pieces that did not decode and were left out.
    Raises:
        VideoError: and nothing else, whatever the bytes are; here or while reading.
    """

    def __init__(self, data: bytes, limits: VideoLimits = _DEFAULT_LIMITS) -> None:
        self._limits = limits
        if len(data) > limits.max_bytes:
            raise VideoTooLargeError(f"{len(data)} bytes; at most {limits.max_bytes} are read")
        _check_gif(data, limits)
        self._container = open_container(data)
        try:
            self._stream = choose_stream(self._container)
            self._timeline = read_timeline(data, self._stream.index, limits)
            self._seconds = self._declared_seconds()
            self.declared_frames = self._declared_frames()
            self._check_before_decoding()
            context = self._stream.codec_context
            context.options = {"max_pixels": str(limits.max_pixels)}  # what av.open is given does not reach the decoder
            # Slices, not whole frames: a thread a frame would hold so many more pictures.
            context.thread_type, context.thread_count = "SLICE", 2
        except BaseException:
            self._container.close()
            raise
        self._reformatter = VideoReformatter()
        self._first: VideoFrame | None = None
        self._turn = Turn()
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
            rotation=self._turn.rotation,
            codec=self._stream.codec_context.codec.canonical_name,
        )

    def _declared_seconds(self) -> float | None:
        """How long the pictures last by the header. A container's own length may be that of its sound."""
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        noted = _seconds(stream.metadata.get("DURATION", ""))  # of a track in Matroska and WebM
        if not noted and self._container.duration and len(self._container.streams) == 1:
            noted = self._container.duration / av.time_base
        if not noted:
            return None
        # In these containers it is the time of the end, which is the length only of what starts at 0.
        start = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
        return noted - start if 0 < start < noted else noted

    def _declared_frames(self) -> int | None:
        if self._container.format.name in _WITHOUT_LENGTH:
            return self._timeline.pieces
        rate = self._stream.average_rate
        by_length = round(self._seconds * _find_rate(float(rate), self._timeline.rate)) if self._seconds and rate else 0
        # An index also counts what an edit list hides: a clip that was trimmed without being coded anew holds more.
        known = [frames for frames in (self._stream.frames, by_length) if frames > 0]
        return min(known, default=None)

    def _check_before_decoding(self) -> None:
        limits, timeline = self._limits, self._timeline
        _check_size(self._stream.width, self._stream.height, limits)
        if timeline.span_s > limits.max_seconds:
            raise VideoTooLongError(
                f"{timeline.span_s:.1f} seconds from the first frame to the last; "
                f"at most {limits.max_seconds:g} are read"
            )
        if timeline.rate is not None:
            check_rate(timeline.rate, limits)
        # Without an index, pieces that are never shown look like frames.
        if self._stream.frames and timeline.pieces > limits.max_frames:
            raise TooManyFramesError(f"{timeline.pieces} frames; at most {limits.max_frames} are taken")

    def _decoded(self) -> Iterator[VideoFrame]:
        with translate_errors(lambda: f"the video is damaged: nothing more decodes after {self._count} frames"):
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
            self._first, self._turn = frame, find_turn(frame)
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
        width, height = find_square_size(frame.width, frame.height, self._stream.sample_aspect_ratio)
        _check_size(width, height, self._limits)
        threads = 1 if width * height < _ONE_THREAD_PIXELS else 2
        converted = self._reformatter.reformat(frame, width, height, "rgb24", threads=threads)
        picture = np.asarray(converted.to_ndarray(), dtype=np.uint8)
        # Rows may be padded, and MediaPipe wants them one after the other.
        return np.ascontiguousarray(self._turn.apply(picture), dtype=np.uint8)

    def _rate(self) -> float:
        """Frames per second as the stream declares them, or as the time stamps say where the two are far apart."""
        declared = float(self._stream.average_rate) if self._stream.average_rate else None
        measured = (self._count - 1) / self._last_time if self._count > 1 and self._last_time else None
        if declared is not None and declared <= self._limits.max_rate * RATE_SLACK:
            return _find_rate(declared, measured if self._count >= FEWEST_FRAMES_FOR_A_RATE else None)
        if measured is None and self._count > 1:
            raise VideoUnreadableError(f"nothing says how fast {self._count} frames follow each other")
        return measured or _USUAL_RATE

    def _check_end(self) -> None:
        """Refuse a video that was cut off. It decodes without a fault up to its end."""
        if not self._count:
            raise VideoEmptyError("not one frame decodes: the video is damaged or cut off. Record or download it again")
        declared = self.declared_frames if self._stream.frames and self.declared_frames else 0
        missing = declared - self._count
        if missing > max(_MISSING_FRAMES, _MISSING_SHARE * declared):
            raise VideoTruncatedError(f"{self._count} frames of {declared} that the file declares")
        if declared or not self._seconds:
            return
        missing_s = self._seconds - self._last_time - max(1 / self._rate(), self._timeline.last_s)
        if missing_s > max(_MISSING_S, _MISSING_SHARE * self._seconds):
            covered = self._seconds - missing_s
            raise VideoTruncatedError(f"{covered:.2f} seconds of {self._seconds:.2f} that the file declares")


def _find_rate(declared: float, measured: float | None) -> float:
    """The declared rate, unless time stamps were measured and are far from it."""
    return declared if measured is None or 1 / _FAR_OFF <= declared / measured <= _FAR_OFF else measured


def _seconds(noted: str) -> float | None:
    """Seconds of "00:01:02.400000000"; None of anything else."""
    found = _NOTED_TIME.fullmatch(noted)
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _check_gif(data: bytes, limits: VideoLimits) -> None:
    """Look at a GIF's size before the library does: it allocates the canvas while it opens the file."""
    if data[:4] == b"GIF8" and len(data) >= 10:
        _check_size(int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"), limits)


def _check_size(width: int, height: int, limits: VideoLimits) -> None:
    if width < 1 or height < 1:
        raise VideoUnreadableError(f"pictures of {width} × {height} pixels")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise VideoTooLargeError(
            f"{width} × {height} pixels; at most {limits.max_side} a side and {limits.max_pixels} in all are read"
        )
