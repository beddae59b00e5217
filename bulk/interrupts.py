"""Ctrl-C and a scheduler's signals: they wait while something is done that must not be done by half."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Interrupts:
    """Turns signals into KeyboardInterrupt: at once or, where `hold` is in use, when its block has ended."""

    def __init__(self) -> None:
        self._held = 0
        self._came = False

    def install(self, numbers: Iterable[int]) -> None:
        """Take these signals. Only the main thread of a process may do so."""
        for number in numbers:
            signal.signal(number, self._take)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let signals wait until the block ends. A block may hold another one.

        Raises:
            KeyboardInterrupt: a signal came meanwhile.
        """
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._came and not self._held:
            self._came = False
            raise KeyboardInterrupt

    def _take(self, *_: object) -> None:
        if not self._held:
            raise KeyboardInterrupt
        self._came = True


# Of the process, as its handlers of signals are.
INTERRUPTS = Interrupts()
