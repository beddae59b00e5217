"""The threads of a web worker."""

import threading

from app.threads import Threads
from tests.engine.fakes import until


def run_all(threads: Threads, count: int) -> list[str]:
    """Run tasks that all wait for each other; return the names of their threads."""
    names: list[str] = []
    meeting = threading.Barrier(count + 1, timeout=60)

    def task() -> None:
        names.append(threading.current_thread().name)
        meeting.wait()

    for _ in range(count):
        threads.submit(task)
    meeting.wait()
    return names


def test_as_many_tasks_run_at_once_as_there_may_be_threads() -> None:
    assert len(set(run_all(Threads(8), 8))) == 8


def test_a_thread_that_waits_takes_the_next_task() -> None:
    threads = Threads(8)
    names = set()
    for _ in range(20):
        done = threading.Event()

        def task(done: threading.Event = done) -> None:
            names.add(threading.current_thread().name)
            done.set()

        threads.submit(task)
        assert done.wait(60)
        until(lambda: bool(threads._idle))  # the thread waits, or is about to
    assert names == {"request-1"}


def test_tasks_beyond_the_limit_wait_until_a_thread_is_free() -> None:
    threads, release, ran = Threads(2), threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        release.wait(60)
        ran.release()

    for _ in range(7):
        threads.submit(hold)
    release.set()
    assert all(ran.acquire(timeout=60) for _ in range(7))
    assert threads._started == 2
