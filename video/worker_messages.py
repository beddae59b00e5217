"""What a process with a tracker (video/worker.py) and its owner (video/worker_process.py) send each other.

Every message is one JSON object. The bytes of a video follow its order, the bytes of a pose follow its report. Nothing
is ever unpickled.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection

from processes.error_messages import ErrorCodec
from processes.errors import MessageError
from processes.json_messages import receive_bytes, receive_object, send_object
from video import errors as video_errors
from video.errors import EstimatorError, VideoError
from video.estimates import VideoFacts, VideoLimits

_ERRORS = ErrorCodec[VideoError | EstimatorError](video_errors, fallback=EstimatorError)


@dataclass(frozen=True)
class Ready:
    """The tracker is loaded.

    Attributes:
        resident_bytes: memory of the process.
    """

    resident_bytes: int


@dataclass(frozen=True)
class FrameDone:
    """One more frame was estimated.

    Attributes:
        done: frames so far.
        total: frames of the video, where it declares them.
    """

    done: int
    total: int | None


@dataclass(frozen=True)
class Estimated:
    """The pose is estimated; its bytes are the next message (receive_pose).

    Attributes:
        warnings: short sentences about the video.
        resident_bytes: memory of the process.
    """

    facts: VideoFacts
    warnings: tuple[str, ...]
    resident_bytes: int


@dataclass(frozen=True)
class Failed:
    """There will be no pose.

    Attributes:
        resident_bytes: memory of the process.
        is_worn: whether the tracker may have suffered, so that no other video may reach this process.
    """

    error: VideoError | EstimatorError
    resident_bytes: int
    is_worn: bool = False


LastReport = Estimated | Failed
Report = Ready | FrameDone | LastReport


def send_video(connection: Connection, video: bytes, limits: VideoLimits) -> None:
    """Order the estimation of a video."""
    send_object(connection, {"kind": "estimate", "limits": asdict(limits)})
    connection.send_bytes(video)


def send_stop(connection: Connection) -> None:
    """Order the end of the estimation that runs; where none runs, nothing happens."""
    send_object(connection, {"kind": "stop"})


def receive_order(connection: Connection) -> tuple[bytes, VideoLimits] | None:
    """Wait for a video and its limits; None when the order is to stop.

    Raises:
        EOFError, OSError: the owner has closed its end.
        MessageError: the bytes are no order.
    """
    order = receive_object(connection)
    if order.get("kind") == "stop":
        return None
    try:
        limits = VideoLimits(**order["limits"])
    except (KeyError, TypeError) as error:
        raise MessageError(f"an order is malformed ({type(error).__name__}: {error})") from error
    return receive_bytes(connection), limits


def send_ready(connection: Connection, *, resident_bytes: int) -> None:
    """Report that the tracker is loaded."""
    send_object(connection, {"kind": "ready", "resident_bytes": resident_bytes})


def send_frame_done(connection: Connection, done: int, total: int | None) -> None:
    """Report one more frame."""
    send_object(connection, {"kind": "frame", "done": done, "total": total})


def send_estimated(
    connection: Connection, pose: bytes, *, facts: VideoFacts, warnings: Sequence[str], resident_bytes: int
) -> None:
    """Report a pose, and send its bytes.

    Args:
        pose: bytes of a .pose file.
    """
    report = {"kind": "estimated", "facts": asdict(facts), "warnings": warnings, "resident_bytes": resident_bytes}
    send_object(connection, report)
    connection.send_bytes(pose)


def send_failed(connection: Connection, error: Exception, *, resident_bytes: int, is_worn: bool = False) -> None:
    """Report why there will be no pose."""
    report = {"kind": "failed", "error": _ERRORS.pack(error), "resident_bytes": resident_bytes, "is_worn": is_worn}
    send_object(connection, report)


def receive_report(connection: Connection) -> Report:
    """Wait for what the process reports next.

    Raises:
        EOFError, OSError: the process has ended.
        MessageError: the bytes are no report.
    """
    report = receive_object(connection)
    try:
        match report.get("kind"):
            case "ready":
                return Ready(report["resident_bytes"])
            case "frame":
                return FrameDone(report["done"], report["total"])
            case "estimated":
                return Estimated(VideoFacts(**report["facts"]), tuple(report["warnings"]), report["resident_bytes"])
            case "failed":
                return Failed(_ERRORS.unpack(report["error"]), report["resident_bytes"], report["is_worn"])
    except (KeyError, TypeError) as error:
        raise MessageError(f"a report is malformed ({type(error).__name__}: {error})") from error
    raise MessageError(f"a report of unknown kind {report.get('kind')!r}")


def receive_pose(connection: Connection) -> bytes:
    """Wait for the pose after a report that it is estimated.

    Returns:
        the bytes of a .pose file.
    Raises:
        EOFError, OSError: the process has ended.
    """
    return receive_bytes(connection)
