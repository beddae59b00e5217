"""Tasks of threads that take turns: one that keeps its turn, many that wait for theirs, and what they did."""

import threading
from collections.abc import Callable

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
