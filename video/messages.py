"""The words estimators and clients exchange: JSON, and videos and poses as they are. Nothing is ever unpickled.

One connection carries one request: the client sends it, is told whether it is admitted, and then what happens; who
hangs up has gone. Or one question for the counters, and the answer.
"""

from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

import orjson

from processes.errors import DeadlineExceededError, MessageError, ProcessError, QueueFullError, VideoStoppedError
from video.errors import (
    EstimationStoppedError,
    EstimatorError,
    EstimatorLostError,
    VideoError,
    video_error,
)
from video.estimates import Estimate, VideoFacts, VideoLimits
from video.interface import (
    EstimateRequest,
    Event,
    Finished,
    Progress,
)

_REFUSALS: dict[str, type[ProcessError]] = {
    cls.__name__: cls for cls in (QueueFullError, DeadlineExceededError, VideoStoppedError)
}
_FAILURES: dict[str, type[EstimatorError]] = {cls.__name__: cls for cls in (EstimatorLostError, EstimationStoppedError)}


def send_request(connection: Connection, request: EstimateRequest) -> None:
    header = {
        "kind": "estimate",
        "videos": len(request.videos),
        "limits": asdict(request.limits),
        "deadline": request.deadline,
    }
    connection.send_bytes(orjson.dumps(header))
    for video in request.videos:
        connection.send_bytes(video)


def send_question(connection: Connection) -> None:
    """Ask for the counters."""
    connection.send_bytes(b'{"kind": "metrics"}')


def send_metrics(connection: Connection, exposition: str) -> None:
    connection.send_bytes(exposition.encode())


def receive_metrics(connection: Connection) -> str:
    """Read the counters, in Prometheus' text format."""
    return connection.recv_bytes().decode()


def receive_request(connection: Connection) -> EstimateRequest | None:
    """Read a request; None: it is a question for the counters.

    Raises:
        EOFError, OSError: the client has gone.
        MessageError: the bytes are not what send_request makes.
    """
    header = _receive(connection, ("kind",))
    if header["kind"] == "metrics":
        return None
    try:
        limits = VideoLimits(**header["limits"])
        videos: Sequence[bytes] = [connection.recv_bytes() for _ in range(header["videos"])]
        return EstimateRequest(videos, limits, header["deadline"])
    except (KeyError, TypeError) as error:
        raise MessageError(f"a request for poses is malformed ({type(error).__name__}: {error})") from error


def send_admitted(connection: Connection) -> None:
    connection.send_bytes(b'{"kind": "admitted"}')


def send_refusal(connection: Connection, error: ProcessError) -> None:
    connection.send_bytes(orjson.dumps({"kind": "refused", **_pack(error)}))


def send_event(connection: Connection, event: Event) -> None:
    if isinstance(event, Progress):
        connection.send_bytes(orjson.dumps({"kind": "progress", **asdict(event)}))
    elif isinstance(event.outcome, Estimate):
        done = event.outcome
        header = {"kind": "estimate", "index": event.index, "facts": asdict(done.facts), "warnings": done.warnings}
        connection.send_bytes(orjson.dumps(header))
        connection.send_bytes(done.pose)
    else:
        connection.send_bytes(orjson.dumps({"kind": "failure", "index": event.index, **_pack(event.outcome)}))


def receive_event(connection: Connection) -> Event | None:
    """Read what the estimators say next; None: the request is admitted.

    Raises:
        ProcessError: the request is refused or given up.
        EOFError, OSError: the estimators have gone.
        MessageError: the bytes are no message.
    """
    header = _receive(connection, ("kind",))
    try:
        match header["kind"]:
            case "admitted":
                return None
            case "progress":
                return Progress(header["index"], header["done"], header["total"])
            case "estimate":
                facts = VideoFacts(**header["facts"])
                return Finished(header["index"], Estimate(connection.recv_bytes(), facts, tuple(header["warnings"])))
            case "failure":
                return Finished(header["index"], _unpack_failure(header))
            case "refused":
                raise _unpack_refusal(header)
    except (KeyError, TypeError) as error:
        raise MessageError(f"a message of an estimator is malformed ({type(error).__name__}: {error})") from error
    raise MessageError(f"a message of unknown kind {header['kind']!r}")


def _receive(connection: Connection, keys: Sequence[str]) -> dict[str, Any]:
    try:
        header = orjson.loads(connection.recv_bytes())
    except orjson.JSONDecodeError as error:
        raise MessageError(f"a message's header is no JSON: {error}") from error
    if not isinstance(header, dict) or not all(key in header for key in keys):
        raise MessageError(f"a message's header lacks one of {', '.join(keys)}")
    return header


def _pack(error: Exception) -> dict[str, Any]:
    retry_after_s = getattr(error, "retry_after_s", None)
    return {"class": type(error).__name__, "message": str(error), "retry_after_s": retry_after_s}


def _unpack_failure(packed: dict[str, Any]) -> VideoError | EstimatorError:
    failure = _FAILURES.get(packed["class"])
    return failure(packed["message"]) if failure else video_error(packed["class"], packed["message"])


def _unpack_refusal(packed: dict[str, Any]) -> ProcessError:
    error = _REFUSALS.get(packed["class"], ProcessError)(packed["message"])
    if packed["retry_after_s"] is not None:
        vars(error)["retry_after_s"] = packed["retry_after_s"]
    return error
