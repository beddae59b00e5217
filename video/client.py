"""The client of estimators in another process; it needs neither PyAV nor MediaPipe."""

import math
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from processes.errors import CancelledError, DeadlineExceededError, ProcessError, VideoStoppedError
from processes.socket_limits import limit_silence
from processes.turns import pause
from video import messages
from video.interface import EstimateRequest, Event, Finished

# How often a waiting call checks whether its client has disconnected, in seconds.
_CHECK_S = 0.1
# How long a refused client should wait, in seconds: the estimators are back within one.
RETRY_AFTER_S = 2.0
# How long a client waits for the estimators' counters, in seconds; Prometheus waits 10 by default.
METRICS_S = 2.0
# How long the estimators may take over a message, in seconds. They answer within a tenth of one, unless they hang.
SILENCE_S = 10.0
# How long after a client is built the estimators may take to listen for the first time, in seconds. They start beside
# the web workers, but load more libraries.
START_S = 30.0
# How often a request looks whether they listen, in seconds.
_LOOK_S = 0.05
_RESTARTING = "the estimators are restarting"
_NOT_STARTED = "the estimators have not started yet; send the video again, or look into the log if that does not help"
_LATE = "the deadline passed before every video was estimated"


class ClientWork:
    """A request that another process works on. That process notices at once when this end closes the connection."""

    def __init__(self, connection: Connection, request: EstimateRequest) -> None:
        self._connection = connection
        self._request = request

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:
        """Wait for events, until every video is finished; see Work.follow.

        Raises:
            CancelledError: the client has disconnected.
            DeadlineExceededError: the request's deadline passed first.
            VideoStoppedError: the estimators cannot be reached any more.
            ProcessError: the estimators gave up the request.
        """
        unfinished = len(self._request.videos)
        deadline = self._request.deadline
        checked = time.monotonic()
        while unfinished:
            try:
                with pause():
                    has_event = self._connection.poll(_CHECK_S)
                event = messages.receive_event(self._connection) if has_event else None
            except (EOFError, OSError) as error:
                raise VideoStoppedError(_RESTARTING, retry_after_s=RETRY_AFTER_S) from error
            if event is not None:
                unfinished -= isinstance(event, Finished)
                yield event
            if deadline is not None and time.monotonic() >= deadline and unfinished:
                raise DeadlineExceededError(_LATE)
            # By the clock and not when there is no event, because frames may come faster than _CHECK_S.
            if is_disconnected is not None and time.monotonic() - checked >= _CHECK_S:
                checked = time.monotonic()
                if is_disconnected():
                    raise CancelledError("the client disconnected before every video was estimated")

    def close(self) -> None:
        """Close the connection, which stops what is not finished. May be called twice."""
        self._connection.close()


class EstimatorClient:
    """Estimators behind a Unix socket. It may be built before a fork, because each request has its own connection.

    Args:
        address: path of the socket.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._first_start_ends = time.monotonic() + START_S

    def begin(self, request: EstimateRequest) -> ClientWork:
        """Send a request to the estimators, and return when it is admitted; see Estimators.begin.

        While they start for the first time, the request waits for them: its deadline allows for more than a start.

        Raises:
            QueueFullError: there is no place for all videos of the request.
            VideoStoppedError: the estimators are shutting down, restarting, or cannot be reached.
            DeadlineExceededError: the request's deadline passed before they admitted it.
            ProcessError: the estimators refused the request for another reason.
        """
        try:
            connection = self._connect_at_start(request.deadline)
        except OSError as error:
            raise _explain(error, request.deadline) from error
        try:
            with pause():
                messages.send_request(connection, request)
            _await_answer(connection, _limit_wait(request.deadline))
            messages.receive_event(connection)
        except (EOFError, OSError) as error:
            connection.close()
            raise _explain(error, request.deadline) from error
        except ProcessError:
            connection.close()
            raise
        return ClientWork(connection, request)

    def _connect_at_start(self, deadline: float | None) -> Connection:
        """Connect, after the first start of the estimators if they have not listened yet.

        Raises:
            OSError: they do not listen, or have not listened in time.
        """
        wait_until = min(self._first_start_ends, math.inf if deadline is None else deadline)
        is_first_start = False
        while True:
            try:
                with pause():
                    return _connect(self.address, _limit_wait(deadline))
            except (FileNotFoundError, ConnectionRefusedError) as error:
                # The socket's file comes with the first start, just before it listens, and stays. Its folder goes when
                # the service stops.
                if isinstance(error, FileNotFoundError):
                    is_first_start = Path(self.address).parent.exists()
                if not is_first_start or time.monotonic() >= wait_until:
                    raise
            with pause():
                time.sleep(_LOOK_S)

    def export_metrics(self) -> str:
        """Fetch the counters in Prometheus' text format; empty while the estimators cannot be reached."""
        try:
            with pause(), _connect(self.address, METRICS_S) as connection:
                messages.send_metrics_request(connection)
                return messages.receive_metrics(connection) if connection.poll(METRICS_S) else ""
        except (EOFError, OSError):
            return ""

    def close(self) -> None:
        """Do nothing, because nothing is kept between requests."""


def _limit_wait(deadline: float | None) -> float:
    left_s = SILENCE_S if deadline is None else deadline - time.monotonic()
    return min(SILENCE_S, max(0.001, left_s))


def _await_answer(connection: Connection, limit_s: float) -> None:
    with pause():
        has_answer = connection.poll(limit_s)
    if not has_answer:
        raise BlockingIOError


def _explain(error: Exception, deadline: float | None) -> DeadlineExceededError | VideoStoppedError:
    if deadline is not None and time.monotonic() >= deadline:
        return DeadlineExceededError(_LATE)
    if isinstance(error, FileNotFoundError):
        return VideoStoppedError(_NOT_STARTED, retry_after_s=RETRY_AFTER_S)
    silent = isinstance(error, BlockingIOError | TimeoutError)
    reason = f"the estimators said nothing for {SILENCE_S:g} s" if silent else _RESTARTING
    return VideoStoppedError(reason, retry_after_s=RETRY_AFTER_S)


def _connect(address: str, limit_s: float) -> Connection:
    with socket.socket(socket.AF_UNIX) as end:
        limit_silence(end, limit_s)
        end.connect(address)
        return Connection(end.detach())
