"""The threads that answer requests, of which one computes at a time.

Python runs one thread at a time. A thread that calls the system, or NumPy, lets the next one run, and then waits to run
again. Where many threads have work, each step of a request then changes threads twice, which costs as much as the
request itself. So threads take turns: who has the turn computes until it waits for somebody else, and only then hands
it on. A turn makes nothing exclusive. Whoever keeps it too long loses it, and goes on beside the next one.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# How long a thread may compute or wait with the turn while others have work, in seconds: some short requests.
SLICE_S = 0.005
# How many turns of interrupted threads may come before a task that has not begun: half of the requests that a worker
# admits by default, so that the answers of a batch come first. Clients that send byte by byte do not keep tasks out.
_MOST_PASSED = 32


class _Place:
    """One of the threads, while it waits for work or for its turn.

    Attributes:
        may_run: released when it has the turn.
        turns_had: how many it has had.
        task: what it does.
    """

    def __init__(self, turns: "Turns") -> None:
        self.turns = turns
        self.may_run = threading.Lock()
        self.may_run.acquire()
        self.turns_had = 0
        self.task: Callable[[], None] | None = None


class _Here(threading.local):
    place: _Place | None = None


_here = _Here()


class Turns:
    """Threads that run tasks; they end with their process.

    Those that were interrupted come before new tasks, so that few requests are half done. But no task waits forever.

    Args:
        limit: how many there may be. Further tasks wait until one of them is free.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._started = limit, 0
        self._lock = threading.Lock()
        self._tasks: deque[Callable[[], None]] = deque()
        self._ready: deque[_Place] = deque()
        self._idle: list[_Place] = []
        # Turns of threads that were interrupted, since a task waits for its beginning.
        self._passed = 0
        # Who has the turn; None: nobody.
        self._holder: _Place | None = None
        self._is_watched = False
        self._watching = threading.Semaphore(0)
        threading.Thread(target=self._watch, name="turns", daemon=True).start()

    def submit(self, task: Callable[[], None]) -> None:
        """Run a task, which may raise nothing, when its turn comes."""
        with self._lock:
            self._tasks.append(task)
            self._offer()

    def shutdown(self, wait: bool) -> None:
        """Do what gunicorn asks of an executor at the end. These threads need nothing."""

    def hand_on(self, place: _Place) -> None:
        """Give up the turn of a thread, if it has it still."""
        with self._lock:
            self._take_from(place)

    def queue(self, place: _Place) -> None:
        """Let a thread that waits run again when its turn comes; called by another thread."""
        with self._lock:
            self._ready.append(place)
            self._offer()

    def take_back(self, place: _Place) -> None:
        """Let this thread, which has waited, run again when its turn comes, and wait for that."""
        with self._lock:
            if self._holder is place:  # what it waited for within a pause has ended with the turn
                return
            self._ready.append(place)
            self._offer()
        place.may_run.acquire()

    def _offer(self) -> None:
        """Let whoever is next begin, and have those watched over that still wait."""
        if self._holder is None:
            self._give_to_next()
        if not self._is_watched and (self._ready or self._tasks):
            self._is_watched = True
            self._watching.release()

    def _give_to_next(self) -> None:
        """Give the turn to whoever is next, if there is one."""
        self._holder = None
        if self._ready and not (self._tasks and self._passed >= _MOST_PASSED):
            self._passed += bool(self._tasks)
            self._give(self._ready.popleft())
            return
        place = self._find_free() if self._tasks else None
        if place is not None:
            self._begin_task(place)
            place.may_run.release()
        elif self._ready:
            self._give(self._ready.popleft())

    def _find_free(self) -> _Place | None:
        """Find a thread without a task, or start one; None: there may be no more, or the system gives no more."""
        if self._idle:
            return self._idle.pop()
        if self._started == self._limit:
            return None
        place, name = _Place(self), f"request-{self._started + 1}"
        try:
            threading.Thread(target=self._run, args=(place,), name=name, daemon=True).start()
        except RuntimeError:
            return None
        self._started += 1
        return place

    def _begin_task(self, place: _Place) -> None:
        self._passed = 0
        place.task = self._tasks.popleft()
        self._note_turn(place)

    def _give(self, place: _Place) -> None:
        self._note_turn(place)
        place.may_run.release()

    def _note_turn(self, place: _Place) -> None:
        self._holder = place
        place.turns_had += 1

    def _take_from(self, place: _Place) -> None:
        if self._holder is place:
            self._give_to_next()

    def _run(self, place: _Place) -> None:
        _here.place = place
        while True:
            place.may_run.acquire()
            while place.task is not None:
                place.task()
                place.task = None
                self._finish(place)

    def _finish(self, place: _Place) -> None:
        """Begin the next task, without a change of threads, or wait for one."""
        with self._lock:
            if self._tasks and not self._ready and self._holder in (place, None):
                self._begin_task(place)
                return
            self._idle.append(place)
            self._take_from(place)

    def _watch(self) -> None:
        """Take the turn from a thread that keeps it while others have work; give them one that nobody has."""
        while True:
            self._watching.acquire()
            seen: tuple[_Place | None, int] = (None, 0)
            while True:
                time.sleep(SLICE_S)
                with self._lock:
                    if not (self._ready or self._tasks):
                        self._is_watched = False
                        break
                    holder = self._holder
                    if holder is None:  # every thread waits, or the system gave no more of them; it may do so now
                        self._give_to_next()
                    elif seen == (holder, holder.turns_had):
                        self._take_from(holder)
                    holder = self._holder
                    seen = (holder, holder.turns_had if holder is not None else 0)


class Signal:
    """Something that happens once, for which one thread waits: the one that made the signal."""

    def __init__(self) -> None:
        self._place = _here.place
        self._may_run = threading.Lock() if self._place is None else self._place.may_run
        if self._place is None:
            self._may_run.acquire()
        self._lock = threading.Lock()
        self._is_set = self._is_awaited = False

    def set(self) -> None:
        """Say that it has happened. Called once."""
        with self._lock:
            self._is_set = True
            if not self._is_awaited:
                return
            self._is_awaited = False
        if self._place is None:
            self._may_run.release()
        else:
            self._place.turns.queue(self._place)

    def wait(self, timeout_s: float) -> bool:
        """Wait without the turn until it has happened; returns with the turn.

        Args:
            timeout_s: at most so long; at most threading.TIMEOUT_MAX.
        Returns:
            whether it has happened.
        """
        with self._lock:
            if self._is_set:
                return True
            self._is_awaited = True
        place = self._place
        if place is not None:
            place.turns.hand_on(place)
        if self._may_run.acquire(timeout=timeout_s):
            return True
        with self._lock:
            was_awaited, self._is_awaited = self._is_awaited, False
        if place is None:
            if not was_awaited:  # it happened in between, and the lock is released, or about to be
                self._may_run.acquire()
        elif was_awaited:
            place.turns.take_back(place)
        else:
            place.may_run.acquire()
        return self._is_set


@contextmanager
def pause() -> Iterator[None]:
    """Let others have the turn while this thread waits, or computes where Python's lock is free."""
    place = _here.place
    if place is None:
        yield
        return
    place.turns.hand_on(place)
    try:
        yield
    finally:
        place.turns.take_back(place)
