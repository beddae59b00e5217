"""Processes of a pool that crash or hang on clips whose names say so."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bulk.preparation import Prepared, Task


def work_badly(connection: Connection, config: object, options: object) -> None:
    """Prepare clips as a pool's process does; the clip's name decides what happens to the process."""
    try:
        connection.send(None)
        while True:
            task: Task = connection.recv()
            name = Path(task.source).name
            with Path(task.source).open("a") as file:  # counts the tries
                file.write(".")
            if name == "crash":
                os._exit(3)
            if name == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            if name == "hang":
                signal.pause()
            if name == "unlucky" and Path(task.source).stat().st_size == 1:
                os.kill(os.getpid(), signal.SIGKILL)  # as somebody from outside would, once
            connection.send(Prepared(np.ones((2, 3), dtype=np.float32)))
    except EOFError:
        return


def fail_to_start(connection: Connection, config: object, options: object) -> None:
    """End at once, as a process does that finds no memory."""
    os._exit(9)
