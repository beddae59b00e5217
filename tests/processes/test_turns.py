"""Threads that take turns: who runs when, what waits, and what a thread that keeps its turn does to others."""

import threading
import time

import pytest

from processes.turns import SLICE_S, Signal, Turns, pause
from tests.engine.fakes import until
from tests.processes.turn_tasks import WAIT_S, Log, gather, hold_turn


def run_all(turns: Turns, count: int) -> list[str]:
    """Run tasks that all wait for each other; return the names of their threads."""
    names: list[str] = []
    meeting = threading.Barrier(count + 1, timeout=WAIT_S)

    def task() -> None:
        names.append(threading.current_thread().name)
        meeting.wait()

    for _ in range(count):
        turns.submit(task)
    meeting.wait()
    return names


def test_tasks_that_wait_without_a_word_run_beside_each_other_all_the_same() -> None:
    assert len(set(run_all(Turns(8), 8))) == 8


def test_a_thread_that_waits_takes_the_next_task() -> None:
    turns = Turns(8)
    names = set()
    for _ in range(20):
        done = threading.Event()

        def task(done: threading.Event = done) -> None:
            names.add(threading.current_thread().name)
            done.set()

        turns.submit(task)
        assert done.wait(WAIT_S)
        until(lambda: bool(turns._idle))  # the thread waits, or is about to
    assert names == {"request-1"}


def test_tasks_beyond_the_limit_wait_until_a_thread_is_free() -> None:
    turns, release, ran = Turns(2), threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        release.wait(WAIT_S)
        ran.release()

    for _ in range(7):
        turns.submit(hold)
    until(lambda: turns._started == 2)
    release.set()
    assert all(ran.acquire(timeout=WAIT_S) for _ in range(7))
    assert turns._started == 2


def test_one_thread_computes_at_a_time() -> None:
    turns, done = Turns(8), threading.Semaphore(0)
    at_once, most = 0, 0

    def compute() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        end = time.monotonic() + SLICE_S / 10
        while time.monotonic() < end:
            time.sleep(0)  # gives Python's lock to every thread that wants it
        at_once -= 1
        done.release()

    gather(turns, [compute] * 6)
    assert all(done.acquire(timeout=WAIT_S) for _ in range(6))
    assert most <= 2  # two, where this machine stops a thread for longer than a slice


def test_a_thread_that_waits_for_a_signal_lets_the_next_one_run() -> None:
    turns, log, done = Turns(8), Log(), threading.Event()
    signals: list[Signal] = []

    def first() -> None:
        signals.append(Signal())
        log.add("first waits")
        assert signals[0].wait(WAIT_S)
        log.add("first goes on")
        done.set()

    def second() -> None:
        log.add("second")
        signals[0].set()
        log.add("second ends")

    gather(turns, [first, second])
    assert done.wait(WAIT_S)
    assert log.lines == ["first waits", "second", "second ends", "first goes on"]


def test_a_thread_that_was_interrupted_comes_before_new_tasks() -> None:
    turns, log, done = Turns(8), Log(), threading.Event()
    signals: list[Signal] = []

    def first() -> None:
        signals.append(Signal())
        signals[0].wait(WAIT_S)
        log.add("first")

    def second() -> None:
        signals[0].set()
        log.add("second")

    def third() -> None:
        log.add("third")
        done.set()

    gather(turns, [first, second, third])
    assert done.wait(WAIT_S)
    assert log.lines == ["second", "first", "third"]


def test_who_keeps_the_turn_loses_it_and_goes_on() -> None:
    turns, done = Turns(8), threading.Event()
    release = hold_turn(turns)
    turns.submit(done.set)
    assert done.wait(WAIT_S)
    assert not release.is_set()  # the first one still waits
    again = hold_turn(turns)  # the turn is there for the next one as well
    release.set()
    again.set()
    for _ in range(3):
        assert len(set(run_all(turns, 4))) == 4


def test_a_pause_lets_the_next_one_run_at_once() -> None:
    turns, log, done = Turns(8), Log(), threading.Event()
    paused = threading.Event()

    def first() -> None:
        with pause():
            assert paused.wait(WAIT_S)
        log.add("first")
        done.set()

    def second() -> None:
        log.add("second")
        paused.set()
        log.add("second ends")

    gather(turns, [first, second])
    assert done.wait(WAIT_S)
    assert log.lines == ["second", "second ends", "first"]


def test_a_pause_ends_with_the_error_of_what_was_done_in_it() -> None:
    turns, seen = Turns(2), []
    done = threading.Event()

    def task() -> None:
        try:
            with pause():
                raise ValueError("of the work")
        except ValueError as error:
            seen.append(str(error))
        done.set()

    turns.submit(task)
    assert done.wait(WAIT_S)
    assert seen == ["of the work"]
    assert len(set(run_all(turns, 2))) == 2


def _pause_briefly() -> None:
    with pause():
        pass


@pytest.mark.parametrize("wait", [_pause_briefly, lambda: Signal().wait(0.01)], ids=["a pause", "a signal"])
def test_a_wait_within_a_pause_ends_with_it(monkeypatch, wait):
    monkeypatch.setattr("processes.turns.SLICE_S", 3600.0)  # nobody loses a turn
    turns, done = Turns(2), threading.Semaphore(0)

    def task() -> None:
        with pause():
            wait()
        done.release()

    turns.submit(task)
    turns.submit(done.release)
    assert all(done.acquire(timeout=10) for _ in range(2))


@pytest.mark.parametrize("takes_turns", [False, True])
def test_a_signal_that_comes_too_late_is_not_waited_for_and_then_found(takes_turns: bool) -> None:
    seen: list[bool] = []
    done = threading.Event()

    def task() -> None:
        signal = Signal()
        seen.append(signal.wait(0.01))
        signal.set()
        seen.append(signal.wait(WAIT_S))
        done.set()

    if takes_turns:
        Turns(2).submit(task)
    else:
        task()
    assert done.wait(WAIT_S)
    assert seen == [False, True]


def test_signals_at_the_moment_of_their_timeout_lose_no_thread() -> None:
    turns, done = Turns(16), threading.Semaphore(0)
    wrong: list[str] = []

    def task() -> None:
        for number in range(60):
            signal = Signal()
            wait_s = 0.0002 * (number % 5)
            timer = threading.Timer(wait_s, signal.set)
            timer.start()
            if not signal.wait(wait_s) and not signal.wait(WAIT_S):
                wrong.append("a signal was lost")
            timer.join()
        done.release()

    for _ in range(12):
        turns.submit(task)
    assert all(done.acquire(timeout=WAIT_S) for _ in range(12))
    assert wrong == []
    assert len(set(run_all(turns, 16))) == 16


def test_a_system_that_gives_no_more_threads_delays_tasks_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, done = Turns(8), threading.Semaphore(0)
    release = hold_turn(turns)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            turns.submit(done.release)
        until(lambda: turns._holder is None)  # the first one has lost its turn, and nobody else can have it
        release.set()
        assert all(done.acquire(timeout=WAIT_S) for _ in range(3))
    assert turns._started == 1
