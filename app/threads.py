"""The threads of a web worker: as many as were needed at once, with less work for a task than an executor has."""

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """Threads that run tasks; they end with their process. One thread submits.

    Args:
        limit: how many there may be. Further tasks wait until one of them is free.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._started = limit, 0
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        # One entry for each thread that waits for a task; taking an entry reserves that thread.
        self._idle: deque[None] = deque()

    def submit(self, task: Callable[[], None]) -> None:
        """Run a task, which may raise nothing, in the next thread that is free."""
        self._tasks.put(task)
        try:
            self._idle.pop()
        except IndexError:
            if self._started < self._limit:
                self._started += 1
                threading.Thread(target=self._run, name=f"request-{self._started}", daemon=True).start()

    def shutdown(self, wait: bool) -> None:
        """Do what gunicorn asks of an executor at the end. These threads need nothing."""

    def _run(self) -> None:
        while True:
            self._tasks.get()()
            self._idle.append(None)
