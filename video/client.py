"""Estimators in another process, as their clients see them. Needs neither PyAV nor MediaPipe."""

import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

from processes.errors import CancelledError, DeadlineExceededError, ProcessError, VideoStoppedError
from video import messages
from video.interface import EstimateRequest, Event, Finished

# How often a waiting call asks whether its client is still there, in seconds.
_GONE_S = 0.1
# How long a refused client should wait: the estimators are back within a second.
RETRY_AFTER_S = 2.0
METRICS_S = 2.0
_GONE = "the estimators are restarting"


class ClientWork:
    """A request that another process works on; it sees at once when this end hangs up."""

    def __init__(self, connection: Connection, request: EstimateRequest) -> None:
        self._connection = connection
        self._request = request

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:
        unfinished = len(self._request.videos)
        deadline = self._request.deadline
        looked = time.monotonic()
        while unfinished:
            try:
                heard = self._connection.poll(_GONE_S)
                event = messages.receive_event(self._connection) if heard else None
            except (EOFError, OSError) as error:
                raise VideoStoppedError(_GONE, retry_after_s=RETRY_AFTER_S) from error
            if event is not None:
                unfinished -= isinstance(event, Finished)
                yield event
            if deadline is not None and time.monotonic() >= deadline and unfinished:
                raise DeadlineExceededError("the deadline passed before every video was looked at")
            # By the clock, not when nothing is heard: frames come faster than anyone leaves.
            if is_disconnected is not None and time.monotonic() - looked >= _GONE_S:
                looked = time.monotonic()
                if is_disconnected():
                    raise CancelledError("whoever asked has gone")

    def close(self) -> None:
        self._connection.close()


class EstimatorClient:
    """Estimators behind a Unix socket. There is nothing to lose in a fork: each request has a connection of its own.

    Args:
        address: path of the socket.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def begin(self, request: EstimateRequest) -> ClientWork:
        try:
            connection = _connect(self.address)
        except OSError as error:
            raise VideoStoppedError(_GONE, retry_after_s=RETRY_AFTER_S) from error
        try:
            messages.send_request(connection, request)
            messages.receive_event(connection)
        except (EOFError, OSError) as error:
            connection.close()
            raise VideoStoppedError(_GONE, retry_after_s=RETRY_AFTER_S) from error
        except ProcessError:
            connection.close()
            raise
        return ClientWork(connection, request)

    def export_metrics(self) -> str:
        try:
            with _connect(self.address) as connection:
                messages.send_question(connection)
                return messages.receive_metrics(connection) if connection.poll(METRICS_S) else ""
        except (EOFError, OSError):
            return ""

    def close(self) -> None:
        """Nothing is held between requests."""


def _connect(address: str) -> Connection:
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(address)
        return Connection(end.detach())
