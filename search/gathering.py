"""Gathers what many threads want to write at the same time into few writes.

A commit takes some milliseconds, however few entries it has. While one is under way, the entries of other threads
gather, and the next commit takes them all.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
# Entries in one commit; a larger one would keep other processes waiting for seconds.
_MOST_ITEMS = 10_000


@dataclass
class _Part(Generic[Item]):
    items: list[Item]
    done: bool = False
    error: BaseException | None = None


@dataclass
class GatheredWrites(Generic[Item]):
    """Writes of one place that come one after the other.

    Attributes:
        write: writes all items it is given, or raises.
    """

    write: Callable[[list[Item]], None]
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _waiting: list[_Part[Item]] = field(default_factory=list)
    _busy: bool = False

    def submit(self, items: list[Item]) -> None:
        """Write items, together with those of other threads, and wait until they are written.

        The items of one call are never divided between two writes.

        Raises:
            Exception: whatever `write` raised for the write with these items.
        """
        part = _Part(items)
        with self._changed:
            self._waiting.append(part)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: part.done or not self._busy)
                if part.done:
                    break
                self._busy = True
                batch = self._take()
            self._write(batch)
        if part.error is not None:
            raise part.error

    def _write(self, batch: list[_Part[Item]]) -> None:
        error: BaseException | None = None
        try:
            self.write([item for part in batch for item in part.items])
        except BaseException as caught:
            error = caught
            if not isinstance(caught, Exception):
                raise
        finally:
            with self._changed:
                for part in batch:
                    part.done, part.error = True, error
                self._busy = False
                self._changed.notify_all()

    def _take(self) -> list[_Part[Item]]:
        count, taken = 0, 0
        for part in self._waiting:
            if taken and count + len(part.items) > _MOST_ITEMS:
                break
            count += len(part.items)
            taken += 1
        batch, self._waiting[:] = self._waiting[:taken], self._waiting[taken:]
        return batch
