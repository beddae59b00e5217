"""Starts a process behind a socket, watches it, and starts it again."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from processes.stop_signals import STOP_SIGNAL, shielded

log = logging.getLogger(__name__)
# A process that ends within this many seconds of its start, before it served, is started again ever more slowly, up to
# the longest pause.
HEALTHY_AFTER_S = 10.0
LONGEST_PAUSE_S = 10.0


class ProcessSupervisor:
    """One process and the private directory of its socket.

    Args:
        name: what the process is, in logs and in the name of its socket.
        drain_s: how long it may take to answer what it admitted, once it is told to stop.
        on_failure: called with the reason, from another thread, when starting the process again would not help.
    """

    def __init__(self, name: str, *, drain_s: float, on_failure: Callable[[str], None] | None = None) -> None:
        self._name = name
        self._drain_s = drain_s
        self._on_failure = on_failure
        # mkdtemp makes it 0700: whoever can enter can ask for vectors, and nobody else can.
        self._directory = Path(tempfile.mkdtemp(prefix="signclip-"))
        self.socket_path = str(self._directory / name) + ".sock"
        # Held while a process starts, so that none starts after the one that runs was told to stop.
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._give_up = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name=f"{name}-supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process and watch it from now on."""
        self._spawn()
        self._watcher.start()

    def ask_to_stop(self) -> None:
        """Tell the process to answer what it admitted and to end; returns at once. May be called twice."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._stopping.set()
            self._give_up = time.monotonic() + self._drain_s
            if self._process is not None:
                self._process.send_signal(STOP_SIGNAL)

    def stop(self) -> None:
        """Ask the process to stop and wait for its end; after drain_s it is killed. May be called twice."""
        self.ask_to_stop()
        process = self._process
        if process is not None:
            try:
                process.wait(max(0.0, self._give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("%s did not drain in time", self._name, extra={"seconds": self._drain_s})
                process.kill()
                process.wait()
        if self._watcher.is_alive():
            self._watcher.join()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _command(self) -> list[str]:
        """Arguments of Python that start the process; asked anew at every start."""
        raise NotImplementedError

    def _served(self) -> bool:
        """Whether the process that has ended was of use, however short its life: the next one need not wait."""
        return False

    def _failure(self) -> str | None:
        """Why the process that has ended cannot start, where another start would not help either."""
        return None

    def _spawn(self) -> None:
        command = [sys.executable, *self._command(), "--parent", str(os.getpid())]
        # It counts for itself: counters in the web workers' directory would stand on their page twice, and its gauges
        # as the zeros they were made with.
        environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
        # What it leaves there is removed with the directory of its socket. Importing torch is enough to leave a folder.
        environment["TMPDIR"] = str(self._directory)
        # A session of its own, and shielded: signals to the web server, as by Ctrl-C in a terminal or by systemd, make
        # the server stop this process when nobody needs it any more.
        with self._lock, shielded():
            if not self._stopping.is_set():
                self._process = subprocess.Popen(
                    command, cwd=Path(__file__).parent.parent, env=environment, start_new_session=True
                )

    def _watch(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            process, started = self._process, time.monotonic()
            if process is None:
                return
            code = process.wait()
            if self._stopping.is_set():
                return
            failure = self._failure()
            if failure is not None:
                log.critical("%s cannot start", self._name, extra={"reason": failure})
                if self._on_failure is not None:
                    self._on_failure(failure)
                return
            short = time.monotonic() - started < HEALTHY_AFTER_S and not self._served()
            pause = min(LONGEST_PAUSE_S, max(0.5, 2 * pause)) if short and pause else (0.1 if short else 0.0)
            log.error("%s ended and is started again", self._name, extra={"exit_code": code, "pause_s": pause})
            if self._stopping.wait(pause):
                return
            try:
                self._spawn()
            except OSError as error:  # no memory or no process to be had; the next round tries again, after a pause
                log.error("%s cannot be started", self._name, extra={"error": str(error)})
