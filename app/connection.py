"""What gunicorn knows beside WSGI: the client's socket, and how it reports a body that is malformed."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from flask import request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import ClientDisconnected

from app.errors import BodyError, ClientGoneError

# Gunicorn's threads wait for a body without end: clients that vanish in the middle of one would fill every place.
LONGEST_PAUSE_S = 30.0


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


@contextmanager
def reading() -> Iterator[None]:
    """Bound how long the body may pause while it is read, and translate the server's errors.

    Raises:
        BodyError: its chunks are malformed.
        ClientGoneError: it broke off, or paused for too long.
    """
    connection = client_socket()
    if connection is not None:
        connection.settimeout(LONGEST_PAUSE_S)
    try:
        yield
    except ParseException as error:
        raise BodyError("the chunks of the body are malformed") from error
    except (OSError, ClientDisconnected) as error:
        raise ClientGoneError(f"the body broke off, or no more of it came for {LONGEST_PAUSE_S:g} s") from error
    finally:
        if connection is not None:
            connection.settimeout(None)
