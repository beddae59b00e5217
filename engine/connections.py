"""The connections of an engine's clients, and how long requests gather before they are looked at."""

import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from engine.interface import EmbedResult
from engine.tickets import Ticket
from processes.streams import MessageStream

Answer = EmbedResult | Exception
# Requests are counted for so long, in seconds, before their rate is believed.
_RATE_S = 0.02
# Clients that may wait to be accepted; each web worker has one connection.
_BACKLOG = 1024


@dataclass(eq=False)
class Connection:
    """A web worker's connection.

    Attributes:
        heard: when it last sent something, in seconds of time.monotonic().
        tickets: its admitted requests, by its numbers.
        answers: what is to be sent, with its numbers.
    """

    stream: MessageStream
    heard: float
    tickets: dict[int, Ticket] = field(default_factory=dict)
    answers: list[tuple[int, Answer]] = field(default_factory=list)


def listen(path: str) -> socket.socket:
    """Listen on a Unix socket; one that was left there by another process is replaced.

    Raises:
        OSError: the path cannot be listened on.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            Path(path).unlink()
        listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class Gathering:
    """Lets requests gather for a moment when they come fast.

    Args:
        window_s: how long they gather, in seconds, when two or more are expected in this time.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._rate = 0.0
        self._counted = 0
        self._since = 0.0

    def get_wait_s(self) -> float:
        """Get how long the next requests should gather, in seconds."""
        return self._window_s if self._rate * self._window_s >= 2 else 0.0

    def note(self, count: int, now: float) -> None:
        """Note that requests came; now: seconds of time.monotonic()."""
        self._counted += count
        if now - self._since >= _RATE_S:
            self._rate = self._counted / (now - self._since)
            self._counted, self._since = 0, now

    def wait(self) -> None:
        """Wait until they have gathered."""
        wait_s = self.get_wait_s()
        if wait_s:
            time.sleep(wait_s)
