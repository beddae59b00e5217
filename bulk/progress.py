"""Says how far a run is: one line that is written over on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

_TERMINAL_S, _LOG_S = 0.5, 30.0
# The rate is that of the last minutes, because the first clips wait for processes to start.
_WINDOW_S = 180.0


class Progress:
    """Counts the items of a run.

    Args:
        total: items of the source; None: not known.
        before: of these, how many were done when this run began.
        out: where it writes.
        clock: in seconds.

    Attributes:
        embedded: items that this run gave a vector.
        failed: items that failed in this run.
    """

    def __init__(
        self, total: int | None, before: int, *, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._before = total, before
        self._out = sys.stderr if out is None else out
        self._clock = clock
        self._is_terminal = self._out.isatty()
        self._started = clock()
        self._shown = self._started - (_LOG_S if self._is_terminal else 0)
        self._marks: deque[tuple[float, int]] = deque([(self._started, 0)])
        self.embedded = self.failed = 0

    def count(self, *, embedded: int = 0, failed: int = 0) -> None:
        """Count items that are finished."""
        self.embedded += embedded
        self.failed += failed
        self.show()

    def show(self) -> None:
        """Write a line, if it is time for one."""
        now = self._clock()
        if now - self._shown < (_TERMINAL_S if self._is_terminal else _LOG_S):
            return
        self._shown = now
        line = self.describe()
        self._out.write(f"\r{line}\x1b[K" if self._is_terminal else f"{line}\n")
        self._out.flush()

    def close(self) -> None:
        """Leave the last line of a terminal as it is."""
        if self._is_terminal:
            self._out.write(f"\r{self.describe()}\x1b[K\n")
            self._out.flush()

    def describe(self) -> str:
        """Write what is done, how fast, what is left and what failed, in one line."""
        done = self._before + self.embedded + self.failed
        rate = self.measure_rate()
        of_all = (
            f"{done}" if self._total is None else f"{done} of {self._total} ({100 * done / max(1, self._total):.1f} %)"
        )
        words = [of_all, f"{rate:.1f}/s"]
        if self._total is not None and rate > 0:
            words.append(f"{_show_time((self._total - done) / rate)} left")
        words.append(f"{self.failed} failed" if self.failed else "none failed")
        return ", ".join(words)

    def measure_rate(self) -> float:
        """Measure the items a second of the last minutes."""
        now, done = self._clock(), self.embedded + self.failed
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW_S:
            self._marks.popleft()
        since, count = self._marks[0]
        return (done - count) / max(1e-9, now - since)


def _show_time(seconds: float) -> str:
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours}:{minutes:02}:{rest:02}"
