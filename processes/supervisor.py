"""Starts a process behind a socket, watches it, and starts it again."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

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
    """

    def __init__(self, name: str, *, drain_s: float) -> None:
        self._name = name
        self._drain_s = drain_s
        # mkdtemp makes it 0700: whoever can enter can ask for vectors, and nobody else can.
        self._directory = Path(tempfile.mkdtemp(prefix="signclip-"))
        self.socket_path = str(self._directory / name) + ".sock"
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name=f"{name}-supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        self._spawn()
        self._watcher.start()

    def stop(self) -> None:
        """Let the process answer what it admitted, then end it; after drain_s it is killed. May be called twice."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(self._drain_s)
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

    def _spawn(self) -> None:
        command = [sys.executable, *self._command(), "--parent", str(os.getpid())]
        # It counts for itself: counters in the web workers' directory would stand on their page twice, and its gauges
        # as the zeros they were made with.
        environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
        # A session of its own: Ctrl-C in a terminal reaches the web server, which then stops the process in order.
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
            short = time.monotonic() - started < HEALTHY_AFTER_S and not self._served()
            pause = min(LONGEST_PAUSE_S, max(0.5, 2 * pause)) if short and pause else (0.1 if short else 0.0)
            log.error("%s ended and is started again", self._name, extra={"exit_code": code, "pause_s": pause})
            if self._stopping.wait(pause):
                return
            try:
                self._spawn()
            except OSError as error:  # no memory or no process to be had; the next round tries again, after a pause
                log.error("%s cannot be started", self._name, extra={"error": str(error)})
