"""Checks before a start that the service can listen at its addresses, and says what to do where it cannot."""

import errno
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from processes.os_errors import describe_reason

# What gunicorn would wait, too: a service that was just told to stop may still hold the port.
PATIENCE_S = 5.0
_LOOK_S = 0.25
_OTHER = "choose another: signclip serve --port 8080, or make serve PORT=8080"


class ListeningError(Exception):
    """The service cannot listen at an address."""


def check_addresses(
    addresses: Iterable[Any],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Check that each address is free; a port that is taken is waited for, PATIENCE_S in all.

    Args:
        addresses: as gunicorn names them; only pairs of a host and a port are checked.
    Raises:
        ListeningError: a port is taken or may not be used, or this machine does not have the address.
    """
    give_up = clock() + PATIENCE_S
    for address in addresses:
        if isinstance(address, tuple):
            while (error := _try(address[0], address[1])) is not None:
                if error.errno != errno.EADDRINUSE or clock() >= give_up:
                    raise ListeningError(_describe(address[0], address[1], error)) from error
                sleep(_LOOK_S)


def _try(host: str, port: int) -> OSError | None:
    """Take an address and leave it at once; nobody can connect meanwhile, because it is not listened at."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:  # socket.gaierror is one
        return error
    return None


def _describe(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program. Stop that program, or {_OTHER}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not open port {port}. Ports above 1023 are free to use; {_OTHER}"
    reason = describe_reason(error)
    return f"the service cannot listen at {host} ({reason}). Name an address of this machine in SIGNCLIP_HOST"
