"""Tasks of threads that take turns begin, whatever the system and the other threads do."""

import threading

import pytest

from processes.turns import Signal, Turns, pause
from tests.engine.fakes import until
from tests.processes.turn_tasks import WAIT_S, Log, gather, hold_turn


def test_a_task_that_found_no_thread_begins_once_the_system_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, done, refused = Turns(8), threading.Event(), threading.Event()

    def refuse(_: threading.Thread) -> None:
        refused.set()
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        turns.submit(done.set)
        assert refused.is_set()
    assert done.wait(WAIT_S)  # although no other task comes


def test_a_task_that_came_while_every_thread_waited_is_not_held_up_by_the_first_to_go_on() -> None:
    turns, done = Turns(2), threading.Event()
    go_on, end = threading.Event(), threading.Event()

    def keep_the_turn_after_a_pause() -> None:
        with pause():
            go_on.wait(WAIT_S)
        end.wait(WAIT_S)

    release = hold_turn(turns)
    turns.submit(keep_the_turn_after_a_pause)
    until(lambda: turns._started == 2 and turns._holder is None and not turns._is_watched)
    turns.submit(done.set)
    go_on.set()
    until(lambda: turns._holder is not None)
    release.set()  # there is a thread for the task again
    assert done.wait(5)
    assert not end.is_set()
    end.set()


def test_threads_that_are_interrupted_all_the_time_let_new_tasks_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processes.turns.SLICE_S", 3600.0)  # nobody loses a turn
    turns, log, done = Turns(8), Log(), threading.Semaphore(0)
    signals: list[Signal] = []

    def wake_the_other_and_wait() -> None:
        for _ in range(200):
            own = Signal()
            if signals:
                signals.pop().set()
            signals.append(own)
            own.wait(WAIT_S)
            log.add("interrupted")
        if signals:
            signals.pop().set()
        done.release()

    def begin() -> None:
        log.add("new")
        done.release()

    gather(turns, [wake_the_other_and_wait, wake_the_other_and_wait, begin])
    assert all(done.acquire(timeout=WAIT_S) for _ in range(2))
    assert log.lines.index("new") < 50
