"""Counts of what callers used, shared by the workers of a service, or of many services."""

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter

import app.access.limit_storage  # noqa: F401  (registers its scheme)

log = logging.getLogger(__name__)
# Where the workers of one service find the file of their counts.
FILE_VARIABLE = "LIMIT_COUNTS_FILE"
# How often the log says that the counts cannot be reached, in seconds.
_SAY_EVERY_S = 10.0
_Answer = TypeVar("_Answer")


class Counts:
    """Counts by caller.

    While the shared counts cannot be reached, each worker counts for itself. A limit then lets more pass, and the
    service still answers.

    Args:
        uri: `redis://…` of a server for several machines; None: a file in shared memory.
    """

    def __init__(self, uri: str | None) -> None:
        shared = os.environ.get(FILE_VARIABLE)
        # A server that shares no file has one process.
        own = f"shared-memory://{shared}" if shared else "memory://"
        storage = storage_from_string(uri or own, wrap_exceptions=True)
        # Redis would keep an entry for each item of a moving window.
        self._shared: RateLimiter = (
            MovingWindowRateLimiter(storage) if uri is None else SlidingWindowCounterRateLimiter(storage)
        )
        self._own: RateLimiter = MovingWindowRateLimiter(MemoryStorage())
        self._said = -_SAY_EVERY_S

    def take(self, limit: RateLimitItem, caller: str, *, cost: int = 1) -> bool:
        """Add to a count, unless it would pass its limit; returns whether it was added."""
        return self._ask(lambda counts: counts.hit(limit, caller, cost=cost))

    def measure(self, limit: RateLimitItem, caller: str) -> tuple[float, int]:
        """Measure what is left.

        Returns:
            Seconds until there is more, and how much there is now.
        """
        stats = self._ask(lambda counts: counts.get_window_stats(limit, caller))
        return max(0.0, stats.reset_time - time.time()), stats.remaining

    def _ask(self, question: Callable[[RateLimiter], _Answer]) -> _Answer:
        try:
            return question(self._shared)
        except StorageError as error:
            if time.monotonic() - self._said > _SAY_EVERY_S:
                self._said = time.monotonic()
                cause = type(error.storage_error).__name__
                log.error("the counts of limits cannot be reached; this worker counts alone", extra={"cause": cause})
            return question(self._own)
