"""Locks between processes and threads, which end with their holder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from processes.files import hold_lock

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys
from pathlib import Path
from processes.files import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
    if sys.argv[2] == "raise":
        raise ValueError("as wanted")
"""


@pytest.mark.parametrize("end", ["return", "raise", "kill"])
def test_a_lock_is_released_at_the_end_of_its_holder(tmp_path, end):
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(lock), end]
    taken = threading.Event()

    def take() -> None:
        with hold_lock(lock):
            taken.set()

    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        waiting = threading.Thread(target=take)
        waiting.start()
        assert not taken.wait(0.2)
        if end == "kill":
            holder.kill()
        else:
            holder.stdin.write("\n")
            holder.stdin.flush()
        assert taken.wait(30)
        waiting.join()


def test_a_lock_is_released_when_its_block_ends_though_a_child_still_has_its_file(tmp_path):
    lock = tmp_path / "lock"
    reading, writing = os.pipe()
    with hold_lock(lock):
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        taken = threading.Event()

        def take() -> None:
            with hold_lock(lock):
                taken.set()

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        assert taken.wait(10)
        thread.join()
    finally:
        os.write(writing, b"\n")
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


def test_threads_of_one_process_exclude_each_other(tmp_path):
    inside, most = 0, []

    def work() -> None:
        nonlocal inside
        for _ in range(20):
            with hold_lock(tmp_path / "lock"):
                inside += 1
                most.append(inside)
                os.sched_yield()
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 80
    assert max(most) == 1


def test_a_lock_of_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError), hold_lock(tmp_path / "nowhere" / "lock"):
        raise AssertionError("the block must not run")
