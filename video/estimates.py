"""What is asked of an estimator and what it answers. Light: neither PyAV nor MediaPipe comes with it."""

from __future__ import annotations

from dataclasses import dataclass, field

_MIB = 1024 * 1024


@dataclass(frozen=True)
class VideoLimits:
    """Sizes past which a video is refused, whatever it shows.

    Attributes:
        max_bytes: of the file.
        max_seconds: from the first frame to the last.
        max_frames: 2 minutes at 60 frames per second.
        max_side: pixels of the width or the height, as stored and as displayed.
        max_pixels: of one picture.
        max_rate: frames per second; slow-motion cameras have 240.
        max_bad_packets: pieces that may fail to decode; one more and the video counts as damaged.
    """

    max_bytes: int = 100 * _MIB
    max_seconds: float = 120.0
    max_frames: int = 7200
    max_side: int = 4096
    max_pixels: int = 4096 * 4096
    max_rate: float = 240.0
    max_bad_packets: int = 5


@dataclass(frozen=True)
class VideoFacts:
    """What was read of a video.

    Attributes:
        width: pixels, as displayed: upright and square.
        height: the same.
        fps: frames per second, on average.
        frames: that were read.
        duration_s: frames over fps.
        rotation: degrees counterclockwise by which stored pictures were turned.
        codec: how the pictures were coded.
        extractor: what estimated the pose, with version and settings; "" for a video that was only read.
    """

    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    rotation: int
    codec: str
    extractor: str = ""


@dataclass(frozen=True)
class Estimate:
    """A video's pose.

    Attributes:
        pose: bytes of a .pose file of version 0.2.
        warnings: short sentences about the video.
    """

    pose: bytes
    facts: VideoFacts
    warnings: tuple[str, ...] = field(default=())
