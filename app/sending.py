"""How an answer is sent: a client that reads too slowly is ended, because a thread waits for it.

Only the time in which sending waits for the client counts. So a stream may take as long as its events do, and a large
file as long as its client needs at the least rate.
"""

import errno
import socket
import ssl
import time
from contextlib import suppress

from gunicorn.config import Config
from gunicorn.http.message import Request
from gunicorn.http.wsgi import Response

from app.intake.connection import LEAST_BYTES_PER_S
from processes.socket_limits import limit_sending
from processes.turns import pause

# How long an answer may wait for a client that reads nothing; the shipped nginx gives as much (send_timeout).
UNREAD_S = 30.0
# Sent at once. The kernel may wait for each piece of a larger one anew, and what it took would be known too late.
_PIECE_BYTES = 256 * 1024


def limit_unread(client: socket.socket) -> None:
    """Let sending to a client fail once it has read nothing for UNREAD_S seconds."""
    limit_sending(client, UNREAD_S)


class PacedSocket:
    """The end of a connection that takes an answer, for as long as its client reads fast enough.

    A client may be UNREAD_S seconds behind one that reads LEAST_BYTES_PER_S. It is never ahead of that one, or what the
    buffers of the connection took at once would give it an hour.
    """

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._left_s = UNREAD_S

    def sendall(self, data: bytes) -> None:
        """Send all of a piece of the answer.

        Raises:
            BrokenPipeError: the client reads nothing, or too slowly.
            OSError: the connection is broken.
        """
        view = memoryview(data)
        while view:
            try:
                sent = self._send(view[:_PIECE_BYTES])
            except BlockingIOError as error:
                raise BrokenPipeError(errno.EPIPE, "the client reads nothing of its answer") from error
            view = view[sent:]
            self._left_s = min(self._left_s + sent / LEAST_BYTES_PER_S, UNREAD_S)
            if self._left_s < 0:
                raise BrokenPipeError(errno.EPIPE, "the client reads its answer too slowly")

    def _send(self, piece: memoryview) -> int:
        """Send what the connection takes at once; where it takes nothing, wait for its client without the turn."""
        if not isinstance(self._client, ssl.SSLSocket):  # which takes no flags
            with suppress(BlockingIOError):
                return self._client.send(piece, socket.MSG_DONTWAIT)
        with pause():
            started = time.monotonic()
            try:
                return self._client.send(piece)
            finally:
                self._left_s -= time.monotonic() - started


class PacedResponse(Response):  # type: ignore[misc]
    """Gunicorn's answer to a request, sent through a PacedSocket."""

    def __init__(self, req: Request, sock: socket.socket, cfg: Config) -> None:
        super().__init__(req, PacedSocket(sock), cfg)
