"""What is asked of an estimator and what it answers. Light: neither PyAV nor MediaPipe comes with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pose_format import Pose

from poses.quality import measure_share_with_body
from video.errors import NobodyInViewError

# Least share of a video's frames in which a person must be seen. With fewer, a model would see mostly empty frames.
LEAST_SEEN = 0.5
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
        max_rate: frames per second by the time stamps; slow-motion cameras have 240.
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
        fps: frames per second, on average; what the file declares, unless its time stamps say otherwise.
        frames: that were read.
        duration_s: frames over fps.
        rotation: degrees counterclockwise by which stored pictures were turned; a mirror, if there is one, comes first.
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


def check_seen(pose: Pose, *, min_seen: float = LEAST_SEEN) -> None:
    """Refuse the pose of a video that mostly shows no person.

    Raises:
        NobodyInViewError: a person is seen in a smaller share of frames than min_seen.
    """
    share = measure_share_with_body(pose)
    if share < min_seen:
        raise NobodyInViewError(
            f"a person is seen in {100 * share:.0f} % of {len(pose.body.data)} frames; "
            f"at least {100 * min_seen:.0f} % are needed. Cut the clip to the signing, film the signer's head and "
            "shoulders in good light, or ask for less with min_seen"
        )
