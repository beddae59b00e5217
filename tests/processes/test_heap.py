"""Threads share two arenas of the heap."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.running import ROOT

# Many threads allocate at once; the text of malloc_info names every arena that was made.
_PROGRAM = """
import ctypes, sys, threading
from processes.heap import limit_arenas
if len(sys.argv) > 1:
    assert limit_arenas()
barrier = threading.Barrier(12)
def allocate():
    barrier.wait()
    kept = [bytes(20_000 + number) for number in range(200)]
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
library = ctypes.CDLL(None)
library.fopen.restype = ctypes.c_void_p
file = library.fopen(b"/dev/stdout", b"w")
library.malloc_info(0, ctypes.c_void_p(file))
library.fflush(ctypes.c_void_p(file))
"""


def count_arenas(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.count("<heap nr=")


def test_threads_share_two_arenas():
    if count_arenas() <= 2:
        pytest.skip("this C library makes few arenas by itself")
    assert count_arenas("limited") <= 2
