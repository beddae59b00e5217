"""What gunicorn knows beside WSGI: the client's socket, and how it reports a body that is malformed."""

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from app.errors import BodyError, ClientGoneError
from app.telemetry import record
from processes.errors import DeadlineExceededError

# Gunicorn's threads wait for a body without end: clients that vanish in the middle of one would fill every place.
LONGEST_PAUSE_S = 30.0
_LOOK_S = 0.25
_LATE = "the deadline passed before the whole body had come"


def client_socket() -> socket.socket | None:
    """The connection of the request being handled; None under other servers."""
    found: socket.socket | None = request.environ.get("gunicorn.socket")
    return found


def has_gone(connection: socket.socket | None) -> bool:
    """Whether the other end has closed; a pipelined request or nothing at all says that it has not."""
    if connection is None:
        return False
    try:
        poll = select.poll()  # select.select takes no descriptor above 1023
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
    except ValueError:  # TLS cannot be peeked into
        return False
    except OSError:
        return True


class _SlowBodies:
    """Ends the reading of bodies whose time is over: each piece that trickles in would be waited for anew.

    One thread for all connections of a process, for a timer each would cost as much as a short request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}
        self._thread_of = 0

    def watch(self, connection: socket.socket, deadline: float) -> None:
        with self._lock:
            self._deadlines[connection] = deadline
            if self._thread_of != os.getpid():  # threads survive no fork
                self._thread_of = os.getpid()
                threading.Thread(target=self._look, name="slow-bodies", daemon=True).start()

    def release(self, connection: socket.socket) -> bool:
        """Watch no more; True if its time was over."""
        with self._lock:
            return self._deadlines.pop(connection, 0.0) <= time.monotonic()

    def _look(self) -> None:
        never = threading.Event()
        while not never.wait(_LOOK_S):
            now = time.monotonic()
            with self._lock:
                for connection, deadline in self._deadlines.items():
                    if deadline <= now:
                        with suppress(OSError):  # it has closed by itself
                            connection.shutdown(socket.SHUT_RD)  # the answer can still be sent


_slow_bodies = _SlowBodies()


@contextmanager
def reading() -> Iterator[None]:
    """Bound how long the body may take and pause while it is read, and translate the server's errors.

    Raises:
        BodyError: its chunks are malformed.
        ClientGoneError: it broke off, or paused for too long.
        DeadlineExceededError: the request's time was over before all of it had come.
    """
    connection = client_socket()
    if connection is not None:
        connection.settimeout(LONGEST_PAUSE_S)
        _slow_bodies.watch(connection, record().deadline)
    late = False
    try:
        try:
            yield
        finally:
            if connection is not None:
                late = _slow_bodies.release(connection)
                connection.settimeout(None)
    except ParseException as error:
        raise BodyError("the chunks of the body are malformed") from error
    except (OSError, ClientDisconnected) as error:
        if late:
            raise DeadlineExceededError(_LATE) from error
        raise ClientGoneError(f"the body broke off, or no more of it came for {LONGEST_PAUSE_S:g} s") from error
    if late:  # gunicorn takes the end of what is read for the end of the body
        raise DeadlineExceededError(_LATE)
