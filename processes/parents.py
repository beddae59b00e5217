"""Processes that end with the one that started them, also where that one is killed."""

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess


def end_with_parent() -> None:
    """End this process as soon as the one that started it, by multiprocessing, has ended in whatever way.

    Without this a process that waits for work would wait for ever: its queue stays open, because it and its siblings
    hold both ends. And one that a server of forks made would see that server as its parent, which lives as long as it.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_exit, args=(parent,), name="parent-watch", daemon=True).start()


def _wait_and_exit(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
