"""What one web worker has to give: places for requests, and memory for their bodies."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import TooManyRequestsError


class Places:
    """Places for requests. One address may take a share of them, so that some are left for others.

    Args:
        count: requests that may be handled at once.
        of_one_address: how many of them may come from one address.
        what: what they are, in the messages.
    """

    def __init__(self, count: int, *, of_one_address: int, what: str) -> None:
        self._count, self._of_one_address, self._what = count, of_one_address, what
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._total = 0

    def enter(self, address: str) -> None:
        """Take a place, until `leave`.

        Raises:
            TooManyRequestsError: every place is taken, or as many as one address may take.
        """
        with self._lock:
            if self._total >= self._count:
                raise TooManyRequestsError(f"{self._count} {self._what} are handled already; send it again later")
            if self._taken[address] >= self._of_one_address:
                raise TooManyRequestsError(
                    f"{self._of_one_address} {self._what} from this address are handled already; send it again later"
                )
            self._total += 1
            self._taken[address] += 1

    def leave(self, address: str) -> None:
        """Give back a place that this address took."""
        with self._lock:
            self._total -= 1
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]

    @contextmanager
    def take(self, address: str) -> Iterator[None]:
        """Hold a place until the block ends.

        Raises:
            TooManyRequestsError: every place is taken, or as many as one address may take.
        """
        self.enter(address)
        try:
            yield
        finally:
            self.leave(address)


class HeldBytes:
    """The bytes of all bodies that are held at once.

    Args:
        limit: bytes. A body that is larger is taken only while no other one is held.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self._held

    def release(self, body: "HeldBody") -> None:
        """Account no more for a body."""
        with self._lock:
            self._held -= body.bytes
            body.bytes = 0

    def add(self, body: "HeldBody", more: int) -> None:
        """Add to what a body takes.

        Raises:
            TooManyRequestsError: all bodies together would take more than the limit.
        """
        with self._lock:
            others = self._held - body.bytes
            if others and self._held + more > self.limit:
                raise TooManyRequestsError(
                    f"the bodies of {others} bytes that are handled leave no room for this one; send it again later"
                )
            self._held += more
            body.bytes += more


class HeldBody:
    """What the body of one request takes in memory.

    Attributes:
        bytes: how many so far.
    """

    def __init__(self, owner: HeldBytes) -> None:
        self._owner = owner
        self.bytes = 0

    def add(self, more: int) -> None:
        """Account for more bytes, before they are there.

        Raises:
            TooManyRequestsError: all bodies together would take more than the limit.
        """
        self._owner.add(self, more)
