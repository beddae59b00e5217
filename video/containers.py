"""Decides which containers, codecs and streams are read, and reads their time stamps.

The length and the rate in a header are claims: browsers write no length, cameras round, clocks start at one hour. So
limits are checked against the time stamps of the pieces, which are read without decoding anything.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import av
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from processes.file_kinds import Family, FileKind, recognize
from video.errors import (
    NotAVideoError,
    TooManyFramesError,
    VideoCodecError,
    VideoEmptyError,
    VideoFormatError,
    VideoHeadMissingError,
    VideoTooLargeError,
    VideoUnreadableError,
)
from video.estimates import VideoLimits

# Containers of clips. MPEG program streams are RWTH Fingerspelling's; Ogg, FLV and ASF (WMV) are those of old archives:
# 1,200 damaged files of each of eight kinds were decoded without a crash before they were let in. Playlists (m3u8,
# ffconcat) would open what they name, pictures (png_pipe) are no videos, a Flash film (swf) is a program.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,ogg,flv,asf"
# What phones, browsers, cameras and archives write.
_CODECS = frozenset(
    {"h264", "hevc", "vp8", "vp9", "av1", "gif", "mjpeg", "mpeg4", "mpeg1video", "mpeg2video", "h263", "prores"}
    | {"theora", "flv1", "vp6f", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1"}
)
# "none" is no protocol: nothing can be opened beside the bytes at hand.
_OPEN_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
_READ_BYTES = 1024 * 1024
_NO_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
# Some packets never show (alternate references of VP8), but not more of them than those that do.
_PACKETS_A_FRAME = 2
# Of fewer frames, a rate is chance: a browser's first two may be a millisecond apart.
FEWEST_FRAMES_FOR_A_RATE = 10
# Cameras that are sold as 240 frames a second measure up to 240.3.
RATE_SLACK = 1.05

_CONVERT = "convert it, for example with: ffmpeg -i CLIP clip.mp4"
# What to do about other kinds of files, where a video is wanted.
_ADVICE: dict[Family, str] = {
    "pose": "Send it as a pose (POST /api/embed/pose), or as pose in a similarity",
    "picture": "It is a picture: a sign needs a video, from before the hands rise until they rest",
    "audio": "It is a sound: send the video that it belongs to",
    "document": "Send the video itself",
    "table": "Send the video itself, or a .pose file as a pose",
    "array": "Send the video itself, or a .pose file as a pose",
    "text": "Send the bytes of a video file",
}


@dataclass(frozen=True)
class Timeline:
    """The time stamps of a stream of pictures, summed up.

    Attributes:
        pieces: packets that are not marked as hidden. A few of them may never show.
        span_s: from the first time stamp to the last; 0 where there are fewer than two.
        last_s: how long the last piece is to be shown, as it says; 0 where it says nothing.
    """

    pieces: int
    span_s: float
    last_s: float

    @property
    def rate(self) -> float | None:
        """Frames per second; None with too few pieces, or without time stamps."""
        if self.pieces < FEWEST_FRAMES_FOR_A_RATE or self.span_s <= 0:
            return None
        return (self.pieces - 1) / self.span_s


def open_container(data: bytes) -> Any:
    """Open a video in memory; close what comes back.

    Raises:
        VideoUnreadableError: the bytes are no video that is read here; one of its subclasses says why.
    """
    try:
        with translate_errors(lambda: "the video cannot be opened"):
            return av.open(
                io.BytesIO(data), "r", options=_OPEN_OPTIONS, metadata_errors="replace", buffer_size=_READ_BYTES
            )
    except VideoUnreadableError as error:
        raise _find_refusal(recognize(data), data) from error


def _find_refusal(kind: FileKind, data: bytes) -> VideoUnreadableError:
    """Say why bytes cannot be opened, by what they look like."""
    if kind.family == "fragment":
        return VideoHeadMissingError(
            f"this is {kind.name}. Chunks cannot be read alone: join all of the recording, in order, and send it as one"
        )
    if kind.family != "video":
        advice = kind.advice or _ADVICE.get(kind.family, "Send the bytes of a video file")
        return NotAVideoError(f"this is no video; it looks like {kind.name}. {advice}")
    if not _is_read(kind):
        return VideoFormatError(f"this is {kind.name}, which is not read here: {_CONVERT}")
    without_index = ("MP4" in kind.name or "QuickTime" in kind.name) and b"moov" not in data
    reason = (
        "without its index (moov): the recording never ended, or the file was cut off. Record or download it again"
        if without_index
        else f"that is damaged or cut off. Download it again, or {_CONVERT}"
    )
    return VideoUnreadableError(f"this looks like {kind.name} {reason}")


def _is_read(kind: FileKind) -> bool:
    return not any(name in kind.name for name in ("SWF", "RealMedia", "bare MPEG"))


def choose_stream(container: Any) -> VideoStream:
    """Choose the stream of moving pictures that players show: one marked as default, of several the largest.

    Raises:
        VideoEmptyError: there is no stream of moving pictures.
        VideoCodecError: its codec is not read here.
    """
    moving: list[VideoStream] = [stream for stream in container.streams.video if not stream.disposition & _NO_PICTURES]
    if not moving:
        raise VideoEmptyError(
            f"the file has no moving pictures: none of its {len(container.streams)} streams is a video. "
            "Record or export it again, with the picture"
        )
    known = [stream for stream in moving if stream.codec_context is not None]
    if not known:
        raise VideoCodecError(f"pictures coded in a way that is unknown here: {_CONVERT}")
    default = [stream for stream in known if stream.disposition & Disposition.default]
    stream = max(default or known, key=lambda stream: stream.width * stream.height)  # the first of equals
    codec = stream.codec_context.codec.canonical_name
    if codec not in _CODECS:
        raise VideoCodecError(f"pictures coded as {codec}; there are read: {', '.join(sorted(_CODECS))}. {_CONVERT}")
    return stream


def read_timeline(data: bytes, index: int, limits: VideoLimits) -> Timeline:
    """Read the time stamps of a stream, and decode nothing.

    Args:
        data: the whole video.
        index: of the stream.
        limits: how many frames there may be.
    Raises:
        TooManyFramesError: there are so many pieces that they cannot be fewer frames than the limit.
        VideoError: the video cannot be opened.
    """
    most = _PACKETS_A_FRAME * limits.max_frames + 100
    pieces, first, last, shown = 0, None, None, 0
    with open_container(data) as container:
        stream = container.streams[index]
        try:
            for packet in container.demux(stream):
                time = packet.pts if packet.pts is not None else packet.dts
                if packet.is_discard or not packet.size:
                    continue
                pieces += 1
                if pieces > most:
                    raise TooManyFramesError(f"more than {limits.max_frames} frames; no more are taken")
                if time is not None:
                    first = time if first is None else min(first, time)
                    if last is None or time > last:
                        last, shown = time, packet.duration or 0
        except (FFmpegError, OSError, ValueError):
            pass  # decoding, which comes next, says what is wrong
        tick_s = float(stream.time_base or 0)
        span = 0 if first is None or last is None else last - first
        return Timeline(pieces, span * tick_s, shown * tick_s)


def check_rate(rate: float, limits: VideoLimits) -> None:
    """Refuse a rate at which no camera films.

    Raises:
        VideoTooLargeError: it is over the limit, by its time stamps.
    """
    if rate > limits.max_rate * RATE_SLACK:
        raise VideoTooLargeError(f"{rate:g} frames per second by the time stamps; at most {limits.max_rate:g} are read")


@contextmanager
def translate_errors(describe: Callable[[], str]) -> Iterator[None]:
    """Turn the library's errors into ours; its own messages may quote what a file says.

    Args:
        describe: called when something went wrong, to say what.
    Raises:
        VideoTooLargeError: there was not enough memory.
        VideoUnreadableError: anything else went wrong.
    """
    try:
        yield
    except MemoryError as error:
        raise VideoTooLargeError("the video needs more memory than one may have") from error
    except (FFmpegError, OSError, ValueError, OverflowError) as error:
        raise VideoUnreadableError(describe()) from error
