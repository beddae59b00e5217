"""Python runs this first in every process whose PYTHONPATH names this folder: it reports the functions that are called.

checks.walk sets the environment. A function is reported when it is first called, once for each value of the shared
switch, as one line in a pipe, because a process may be forbidden to write files. While the switch is 0 nothing is.
"""

import json
import mmap
import os
import sys
import threading
import time
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

PIPE, SWITCH, TREE = "WALK_PIPE", "WALK_SWITCH", "WALK_TREE"
_OPTIMIZED = 1
"""Flag of the code of functions; modules' and classes' bodies lack it (CO_OPTIMIZED of CPython)."""


class Reporter:
    """Writes what is called into the pipe."""

    def __init__(self, pipe: int, switch: mmap.mmap, tree: str) -> None:
        self._pipe = pipe
        self._switch = switch
        self._tree = tree + os.sep
        self._outside = tuple(self._tree + folder + os.sep for folder in ("tests", "checks", "benchmarks", ".venv"))
        self._seen: set[CodeType] = set()
        self._turn = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Look at one event of the interpreter; see sys.setprofile."""
        turn = self._switch[0]
        if event != "call" or not turn:
            return
        if turn != self._turn:
            self._turn, self._seen = turn, set()
        code = frame.f_code
        if code in self._seen or not self._counts(code) or self._is_importing(frame):
            return
        self._seen.add(code)
        line = {
            "time": time.monotonic_ns(),
            "turn": turn,
            "process": os.getpid(),
            "program": sys.orig_argv[1:4],
            "file": code.co_filename[len(self._tree) :],
            "name": code.co_qualname,
            "callers": [caller.co_filename[len(self._tree) :] for caller in self._callers(frame)],
        }
        os.write(self._pipe, json.dumps(line).encode() + b"\n")

    def _counts(self, code: CodeType) -> bool:
        """Whether it is a function of the tree, with a name."""
        path = code.co_filename
        is_function = code.co_flags & _OPTIMIZED and not code.co_name.startswith("<")
        return bool(is_function) and path.startswith(self._tree) and not path.startswith(self._outside)

    def _is_importing(self, frame: FrameType | None) -> bool:
        """Whether a module that is being imported calls it: decorators and tables are no part of a way."""
        while frame is not None:
            if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(self._tree):
                return bool(frame.f_globals.get("__name__") != "__main__")
            frame = frame.f_back
        return False

    def _callers(self, frame: FrameType) -> Iterator[CodeType]:
        """The functions of the tree that wait for this one, the nearest first."""
        above = frame.f_back
        while above is not None:
            if self._counts(above.f_code):
                yield above.f_code
            above = above.f_back


def start() -> None:
    """Report from every thread of this process."""
    pipe = os.open(os.environ[PIPE], os.O_WRONLY)
    with open(os.environ[SWITCH], "r+b") as file:
        switch = mmap.mmap(file.fileno(), 1)
    reporter = Reporter(pipe, switch, os.environ[TREE])
    threading.setprofile(reporter)
    sys.setprofile(reporter)


if PIPE in os.environ:
    start()
