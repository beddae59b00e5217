"""What gunicorn offers beside WSGI: the socket of the client, and errors that report a malformed body."""

import math
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeGuard

from flask import g, request
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import SocketUnreader
from werkzeug.exceptions import ClientDisconnected

from app.errors import BodyError, BodySlowError, ClientDisconnectedError, RequestError
from app.telemetry import get_record
from processes.errors import DeadlineExceededError
from processes.turns import pause

# Gunicorn's threads wait for a body without a limit. Clients that vanish while they send one would fill every place.
LONGEST_PAUSE_S = 30.0
# A body may be this late before its reading stops: little beside any deadline, and rare enough to cost no time.
_CHECK_S = 0.25
# A body that arrives more slowly keeps a place from others. The slowest telephone networks carry ten times as much.
GRACE_S = 10.0
LEAST_BYTES_PER_S = 1024


def get_client_socket() -> socket.socket | None:
    """Return the connection of the request that is being handled; None under servers other than gunicorn."""
    found: socket.socket | None = request.environ.get("gunicorn.socket")
    return found


class Client:
    """The client of a request, watched while its request waits.

    Args:
        connection: None under servers other than gunicorn, where nothing is known of it.
        takes_interim_answers: whether it speaks HTTP/1.1.
    """

    def __init__(self, connection: socket.socket | None, *, takes_interim_answers: bool) -> None:
        self._connection = connection
        self._may_probe = takes_interim_answers

    def begin_answer(self) -> None:
        """Say that the answer begins, so that nothing may come between its pieces any more."""
        self._may_probe = False

    def is_disconnected(self) -> bool:
        """Check whether the client has left.

        A client that only says that it sends no more (`nc -N`) looks the same as one that has closed. So it is sent an
        interim answer, which a client that waits must skip (RFC 9110, section 15.2) and a closed socket refuses.

        Returns:
            False also when nothing arrived, when the client already sent its next request, and when there is no socket.
        """
        connection = self._connection
        if connection is None:
            return False
        try:
            poll = select.poll()  # select.select accepts no descriptor above 1023
            poll.register(connection, select.POLLIN)
            events = poll.poll(0)
            if not events or not events[0][1] & (select.POLLHUP | select.POLLERR):
                if not events or not self._may_probe or connection.recv(1, socket.MSG_PEEK):
                    return False
                self._may_probe = False
                connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                return False
        except ValueError:  # a TLS connection does not support MSG_PEEK
            return False
        except OSError:
            return True
        return True


def get_client() -> Client:
    """Return the client of the request that is being handled."""
    if "client" not in g:
        takes_interim_answers = request.environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
        g.client = Client(get_client_socket(), takes_interim_answers=takes_interim_answers)
    found: Client = g.client
    return found


def take_arrived(length: int) -> bytes | None:
    """Take a whole body that is there already, as short ones mostly are; nothing waits for it and nothing watches it.

    Args:
        length: of the body in bytes, as its head says.
    Returns:
        The body; None: it is not all there, or this body is to be read from the request's stream.
    """
    connection, body = get_client_socket(), request.environ.get("wsgi.input")
    if connection is None or isinstance(connection, ssl.SSLSocket) or not _is_untouched(body):
        return None
    reader = body.reader
    if reader.length != length:
        return None
    held: bytes = reader.unreader.take_buffered()
    if len(held) < length:
        with suppress(OSError):  # nothing more has come, or whoever reads on finds out what is wrong
            held += connection.recv(length - len(held), socket.MSG_DONTWAIT)
    is_whole = len(held) >= length
    left = held[length:] if is_whole else held
    if left:
        reader.unreader.unread(left)
    if not is_whole:
        return None
    reader.length = 0
    return held[:length]


def read_into(buffer: memoryview) -> int | None:
    """Read some of a body of known length into memory, without the copies that gunicorn makes on the way.

    Args:
        buffer: where to put it; not longer than what is left of the body.
    Returns:
        how many bytes were read, at least one; None: this body is to be read from the request's stream.
    Raises:
        OSError: the connection is broken or pauses too long.
        ConnectionError: it ends before the body.
    """
    connection, body = get_client_socket(), request.environ.get("wsgi.input")
    if connection is None or not _is_untouched(body) or len(buffer) > body.reader.length:
        return None
    reader = body.reader
    held = reader.unreader.take_buffered()
    count = min(len(held), len(buffer))
    buffer[:count] = held[:count]
    if len(held) > count:
        reader.unreader.unread(held[count:])
    try:
        count = count or _receive_into(connection, buffer)
    except OSError:
        body.failed = True  # the rest of the body is no request
        raise
    if not count:
        body.failed = True
        raise ConnectionError("the body stopped before its end")
    reader.length -= count
    return count


def read_piece(most: int) -> bytes:
    """Read a piece of a body from the request's stream, and wait for it without the turn."""
    with pause():
        return request.stream.read(most)


def _receive_into(connection: socket.socket, buffer: memoryview) -> int:
    """Receive what is there; where nothing is, wait for it without the turn."""
    poll = select.poll()  # a socket with a timeout waits even when it is told not to
    poll.register(connection, select.POLLIN)
    if poll.poll(0):
        return connection.recv_into(buffer)
    with pause():
        return connection.recv_into(buffer)


def _is_untouched(body: object) -> TypeGuard[Body]:
    """Check that gunicorn reads this body by its length, and keeps none of it."""
    if not isinstance(body, Body) or not isinstance(body.reader, LengthReader):
        return False
    return not body.buf.tell() and isinstance(body.reader.unreader, SocketUnreader)


class _BodyDeadlines:
    """Stops reading a body when its deadline has passed. A timeout of the socket cannot: it restarts with every piece.

    One thread serves all connections of a process, because a timer for each would cost as much as a short request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}
        self._thread_pid = 0

    def watch(self, connection: socket.socket, deadline: float) -> None:
        """Stop reading from a connection at a deadline, in seconds of time.monotonic()."""
        with self._lock:
            self._deadlines[connection] = deadline
            if self._thread_pid != os.getpid():  # threads do not survive a fork
                self._thread_pid = os.getpid()
                threading.Thread(target=self._check, name="body-deadlines", daemon=True).start()

    def release(self, connection: socket.socket) -> bool:
        """Stop watching a connection; return whether its deadline has passed. One that is not watched has none."""
        with self._lock:
            return self._deadlines.pop(connection, math.inf) <= time.monotonic()

    def _check(self) -> None:
        never = threading.Event()
        while not never.wait(_CHECK_S):
            now = time.monotonic()
            with self._lock:
                for connection, deadline in self._deadlines.items():
                    if deadline <= now:
                        with suppress(OSError):  # the connection is closed already
                            connection.shutdown(socket.SHUT_RD)  # the answer can still be sent


_body_deadlines = _BodyDeadlines()


class BodyLimits:
    """By when the body of the request that is being handled must have arrived, and how fast."""

    def __init__(self) -> None:
        self._connection = get_client_socket()
        self._started = time.monotonic()
        self._deadline = get_record().deadline
        self._arrives_by = self._deadline

    def allow(self, size_bytes: int) -> None:
        """Stop reading when this many bytes of the body have not arrived in the time that they may take."""
        if self._connection is not None:
            self._arrives_by = self._started + GRACE_S + size_bytes / LEAST_BYTES_PER_S
            _body_deadlines.watch(self._connection, min(self._deadline, self._arrives_by))

    def begin(self) -> None:
        """Limit pauses, and let a client send that waits for `100 Continue`."""
        if self._connection is not None:
            self._connection.settimeout(LONGEST_PAUSE_S)
            if request.headers.get("Expect", "").lower() == "100-continue":
                self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def end(self) -> RequestError | DeadlineExceededError | None:
        """Watch no more; return why reading was stopped, None if it was not."""
        if self._connection is None:
            return None
        late = _body_deadlines.release(self._connection)
        self._connection.settimeout(None)
        if not late:
            return None
        if self._deadline <= self._arrives_by:
            return DeadlineExceededError("the deadline passed before the whole body had arrived")
        return BodySlowError(
            f"the body arrived too slowly; it may take {GRACE_S:g} s, and a second for each {LEAST_BYTES_PER_S} bytes"
        )


@contextmanager
def limit_reading() -> Iterator[BodyLimits]:
    """Limit how long reading the body may take and pause, and translate the server's errors.

    Raises:
        BodyError: the chunks of the body are malformed.
        BodySlowError: the body arrived more slowly than `allow` was told.
        ClientDisconnectedError: the body stopped before its end, or paused for longer than LONGEST_PAUSE_S.
        DeadlineExceededError: the request's deadline passed before the whole body had arrived.
    """
    limits, late = BodyLimits(), None
    try:
        try:
            limits.begin()
            yield limits
        finally:
            late = limits.end()
    except ParseException as error:
        raise BodyError("the chunks of the body are malformed") from error
    except (OSError, ClientDisconnected) as error:
        if late is not None:
            raise late from error
        message = f"the body stopped before its end, or nothing of it arrived for {LONGEST_PAUSE_S:g} s"
        raise ClientDisconnectedError(message) from error
    if late is not None:  # gunicorn takes the end of the connection for the end of the body
        raise late
