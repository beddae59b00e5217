"""Counts of what callers used, shared by the workers of a service, or of many services."""

import logging
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter

import app.access.limit_storage  # noqa: F401  (registers its scheme)
from processes.turns import pause

log = logging.getLogger(__name__)
# Where the workers of one service find the file of their counts.
FILE_VARIABLE = "LIMIT_COUNTS_FILE"
# How often the log says that the counts cannot be reached, in seconds.
_SAY_EVERY_S = 10.0
# How long a request waits for a server of counts. One in the same network answers within milliseconds.
_ANSWER_S = 0.5
# How long a server that did not answer is left alone: every request would wait for it, with a thread.
_ALONE_S = 5.0
_Answer = TypeVar("_Answer")


class Counts:
    """Counts by caller.

    While the shared counts cannot be reached, each worker counts for itself. A limit then lets more pass, and the
    service still answers, without waiting for them each time.

    Args:
        uri: `redis://…` of a server for several machines; None: a file in shared memory.
    """

    def __init__(self, uri: str | None) -> None:
        shared = os.environ.get(FILE_VARIABLE)
        # A server that shares no file has one process.
        own = f"shared-memory://{shared}" if shared else "memory://"
        limits = {} if uri is None else {"socket_timeout": _ANSWER_S, "socket_connect_timeout": _ANSWER_S}
        storage = storage_from_string(uri or own, wrap_exceptions=True, **limits)
        # Redis would keep an entry for each item of a moving window.
        self._shared: RateLimiter = (
            MovingWindowRateLimiter(storage) if uri is None else SlidingWindowCounterRateLimiter(storage)
        )
        self._own: RateLimiter = MovingWindowRateLimiter(MemoryStorage())
        self._said = -_SAY_EVERY_S
        # A file answers or fails at once.
        self._alone_s = 0.0 if uri is None else _ALONE_S
        self._alone_until = 0.0

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
        now = time.monotonic()
        if now < self._alone_until:
            return question(self._own)
        if self._alone_until:  # one request finds out whether the server is back, and no other waits for it
            self._alone_until = now + self._alone_s
        try:
            with pause() if self._alone_s else nullcontext():
                answer = question(self._shared)
        except StorageError as error:
            self._alone_until = time.monotonic() + self._alone_s
            if time.monotonic() - self._said > _SAY_EVERY_S:
                self._said = time.monotonic()
                cause = type(error.storage_error).__name__
                log.error("the counts of limits cannot be reached; this worker counts alone", extra={"cause": cause})
            return question(self._own)
        self._alone_until = 0.0
        return answer
