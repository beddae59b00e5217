"""Looks now and then for collections that need upkeep, and has a process of its own do it.

Compacting and indexing take a core for seconds to minutes, which a web worker has not. One process of a machine looks;
what it starts ends with it.
"""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from processes.files import try_lock
from search.errors import StoreError
from search.settings import SearchSettings

log = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parent.parent


class Upkeep:
    """The upkeep of one store, as long as this process lives.

    Args:
        lock: a file that stands for the right to look.
        list_worn: lists the collections that need upkeep.
    """

    def __init__(self, settings: SearchSettings, lock: Path, list_worn: Callable[[], list[str]]) -> None:
        self._settings = settings
        self._lock = lock
        self._list_worn = list_worn
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="search-upkeep", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End what was begun; nothing that is stored is lost by that. May be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._settings.maintain_s):
            try:
                with try_lock(self._lock) as is_held:
                    if is_held:
                        self.look()
            except (StoreError, OSError) as error:
                log.warning("collections cannot be looked after", extra={"error": str(error)[:200]})

    def _send_settings(self, process: subprocess.Popen[str]) -> None:
        if process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended already, which its status says
                process.stdin.write(self._settings.to_json() + "\n")
                process.stdin.flush()

    def look(self) -> list[str]:
        """Look once, and wait until what needs upkeep has had it; returns what did.

        Raises:
            StoreError: the store cannot be read.
            OSError: no process can be started.
        """
        worn = self._list_worn()
        if worn:
            command = [sys.executable, "-m", "search", "maintain", "--settings-from-input", *worn]
            # It reads its input to learn that this process has ended, however that ended; and the settings, because a
            # command line, which everybody on the machine can read, is no place for the password of a database.
            with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, text=True) as process:
                self._send_settings(process)
                while process.poll() is None:
                    if self._stopping.wait(0.2):
                        process.terminate()
                        break
            log.info("collections were compacted", extra={"collections": worn, "exit_code": process.returncode})
        return worn
