"""Tasks of threads that take turns: one that keeps its turn, many that wait for theirs, and what they did."""

import threading
from collections.abc import Callable

import pytest

from processes import turns as turns_module
from processes.turns import Turns

WAIT_S = 60.0


class Log:
    """What tasks did, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)


def hold_turn(turns: Turns) -> threading.Event:
    """Let a thread keep its turn, until it loses it or the event is set."""
    began, release = threading.Event(), threading.Event()

    def hold() -> None:
        began.set()
        release.wait(WAIT_S)

    turns.submit(hold)
    assert began.wait(WAIT_S)
    return release


def gather(turns: Turns, tasks: list[Callable[[], None]]) -> None:
    """Submit tasks that all wait for their turn, then let them have it."""

    def submit() -> None:
        for task in tasks:
            turns.submit(task)

    turns.submit(submit)  # keeps its turn meanwhile


def hands_its_turn_on(waiting: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Check whether a task that waits lets the next one run meanwhile, where no thread loses a turn that it keeps."""
    monkeypatch.setattr(turns_module, "SLICE_S", 3600.0)
    turns, log, ended = Turns(2), Log(), threading.Semaphore(0)

    def wait() -> None:
        try:
            waiting()
        finally:
            log.add("waiting")
            ended.release()

    def follow() -> None:
        log.add("next")
        ended.release()

    gather(turns, [wait, follow])
    assert all(ended.acquire(timeout=WAIT_S) for _ in range(2))
    return log.lines == ["next", "waiting"]
