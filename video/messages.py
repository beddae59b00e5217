"""What estimators and clients send each other: JSON objects, videos and poses. Nothing is unpickled.

One connection carries one request. The client sends it; the estimators answer whether it is admitted, and then send its
events. A client that closes the connection has disconnected. Or a connection carries one request for the counters, and
the answer.
"""

from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection

from processes import errors as process_errors
from processes.error_messages import ErrorCodec
from processes.errors import MessageError, ProcessError
from processes.json_messages import receive_bytes, receive_object, send_object
from video import errors as video_errors
from video.errors import EstimatorError, VideoError
from video.estimates import Estimate, VideoFacts, VideoLimits
from video.interface import (
    EstimateRequest,
    Event,
    Finished,
    Progress,
)

# More than the body of any request holds.
_MOST_VIDEOS = 65_536
_REFUSALS = ErrorCodec[ProcessError](process_errors, fallback=ProcessError)
_FAILURES = ErrorCodec[VideoError | EstimatorError](video_errors, fallback=EstimatorError)


def send_request(connection: Connection, request: EstimateRequest) -> None:
    """Send a request.

    Raises:
        OSError: the estimators have closed the connection.
    """
    header = {
        "kind": "estimate",
        "videos": len(request.videos),
        "limits": asdict(request.limits),
        "deadline": request.deadline,
        "client": request.client,
        "id": request.request_id,
    }
    send_object(connection, header)
    for video in request.videos:
        connection.send_bytes(video)


def send_metrics_request(connection: Connection) -> None:
    """Request the counters."""
    connection.send_bytes(b'{"kind": "metrics"}')


def send_metrics(connection: Connection, exposition: str) -> None:
    """Send the counters, in Prometheus' text format."""
    connection.send_bytes(exposition.encode())


def receive_metrics(connection: Connection) -> str:
    """Wait for the counters, in Prometheus' text format."""
    return receive_bytes(connection).decode()


def receive_request(connection: Connection) -> EstimateRequest | None:
    """Wait for a request; None: the client requests the counters.

    Raises:
        EOFError, OSError: the client has closed the connection.
        MessageError: the bytes are not what send_request makes.
    """
    header = receive_object(connection)
    if header.get("kind") == "metrics":
        return None
    try:
        limits = VideoLimits(**header["limits"])
        if not 0 < header["videos"] <= _MOST_VIDEOS:
            raise MessageError(f"a request for poses of {header['videos']} videos; 1 to {_MOST_VIDEOS} are expected")
        videos: Sequence[bytes] = [receive_bytes(connection) for _ in range(header["videos"])]
        return EstimateRequest(videos, limits, header["deadline"], header["client"], header["id"])
    except (KeyError, TypeError) as error:
        raise MessageError(f"a request for poses is malformed ({type(error).__name__}: {error})") from error


def send_admitted(connection: Connection) -> None:
    """Send that the request is admitted."""
    connection.send_bytes(b'{"kind": "admitted"}')


def send_refusal(connection: Connection, error: ProcessError) -> None:
    """Send why the request is refused or given up."""
    send_object(connection, {"kind": "refused", "error": _REFUSALS.pack(error)})


def send_event(connection: Connection, event: Event) -> None:
    """Send an event of the request."""
    if isinstance(event, Progress):
        send_object(connection, {"kind": "progress", **asdict(event)})
    elif isinstance(event.outcome, Estimate):
        done = event.outcome
        header = {"kind": "estimate", "index": event.index, "facts": asdict(done.facts), "warnings": done.warnings}
        send_object(connection, header)
        connection.send_bytes(done.pose)
    else:
        send_object(connection, {"kind": "failure", "index": event.index, "error": _FAILURES.pack(event.outcome)})


def receive_event(connection: Connection) -> Event | None:
    """Wait for the next event; None: the request is admitted.

    Raises:
        ProcessError: the request is refused or given up.
        EOFError, OSError: the estimators have closed the connection.
        MessageError: the bytes are no message.
    """
    header = receive_object(connection)
    try:
        match header.get("kind"):
            case "admitted":
                return None
            case "progress":
                return Progress(header["index"], header["done"], header["total"])
            case "estimate":
                facts = VideoFacts(**header["facts"])
                return Finished(header["index"], Estimate(receive_bytes(connection), facts, tuple(header["warnings"])))
            case "failure":
                return Finished(header["index"], _FAILURES.unpack(header["error"]))
            case "refused":
                raise _REFUSALS.unpack(header["error"])
    except (KeyError, TypeError) as error:
        raise MessageError(f"a message of an estimator is malformed ({type(error).__name__}: {error})") from error
    raise MessageError(f"a message of unknown kind {header.get('kind')!r}")
