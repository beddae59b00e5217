"""Whose video is next: clients take turns, and so do the requests of one."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TypeVar

from video.interface import EstimateRequest


class _Queued(Protocol):
    request: EstimateRequest
    running: int

    def has_waiting(self) -> bool: ...


Queued = TypeVar("Queued", bound=_Queued)


class Turns:
    """The turns of clients. Neither many requests nor a large one keep out others. Its caller holds a lock."""

    def __init__(self) -> None:
        self._count = 0
        # The last turn of each client that has something here.
        self._last: dict[str, int] = {}

    def choose(self, works: Sequence[Queued]) -> Queued | None:
        """Choose the request whose video is next; None: nothing waits."""
        running: Counter[str] = Counter()
        for work in works:
            running[work.request.client] += work.running
        self._last = {client: turn for client, turn in self._last.items() if client in running}

        def rank(work: Queued) -> tuple[int, int, int]:
            client = work.request.client
            return running[client], self._last.get(client, 0), work.running

        return min((work for work in works if work.has_waiting()), key=rank, default=None)

    def note(self, client: str) -> None:
        """Note that a client had its turn."""
        self._count += 1
        self._last[client] = self._count
