"""Starts a process behind a socket, watches it, and starts it again when it ends."""

import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from processes.environment import build_environment
from processes.heartbeat import SILENCE_S, HeartbeatWatch
from processes.private_folders import PrivateFolder
from processes.stop_signals import STOP_SIGNAL, shield
from processes.stopped import StoppedWatch

log = logging.getLogger(__name__)
# If a process ends within this many seconds of its start, and before it served, the pause before the next start
# doubles, up to the longest pause.
HEALTHY_AFTER_S = 10.0
LONGEST_PAUSE_S = 10.0
# How often a running process is looked at, in seconds.
_LOOK_S = 1


class ProcessSupervisor:
    """One process and the private directory of its socket.

    Args:
        name: what the process is; used in logs and in the name of its socket.
        drain_s: how long the process may take to answer what it admitted, after it was asked to stop.
        on_failure: called with the reason, from another thread, when another start would fail too.

    Attributes:
        socket_path: path of the socket that the process listens on.
    """

    def __init__(self, name: str, *, drain_s: float, on_failure: Callable[[str], None] | None = None) -> None:
        self._name = name
        self._drain_s = drain_s
        self._on_failure = on_failure
        # Private, because every process that can reach the socket can send requests.
        self._folder = PrivateFolder()
        self._directory = self._folder.path
        self.socket_path = str(self._directory / name) + ".sock"
        # Held while a process starts, so that no process starts after `ask_to_stop`.
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._give_up = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._heartbeat = HeartbeatWatch(self.socket_path)
        self._exit_codes: dict[int, int] = {}
        self._watcher = threading.Thread(target=self._watch, name=f"{name}-supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the process that runs now; None before the first start."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process, and a thread that watches it.

        Raises:
            OSError: the process cannot be started.
        """
        self._spawn()
        self._watcher.start()

    def ask_to_stop(self) -> None:
        """Ask the process to answer what it admitted and to end; returns at once. May be called twice."""
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
        self._folder.remove()

    def note_exit(self) -> None:
        """Read how the process ended, if it has. Call it before somebody else collects the children of this process.

        Gunicorn's master collects every child, and then nobody could say any more how this one ended.
        """
        process = self._process
        if process is None:
            return
        with suppress(ChildProcessError):  # it has been collected
            found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is not None:
                signaled = found.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
                self._exit_codes[process.pid] = -found.si_status if signaled else found.si_status

    def _build_command(self) -> list[str]:
        """Build the arguments of Python that start the process; called before every start."""
        raise NotImplementedError

    def _take_standby(self, arguments: Sequence[str]) -> subprocess.Popen[bytes] | None:  # noqa: ARG002
        """Hand the arguments of the next process to one that waits for them; None: no process waits."""
        return None

    def _look_after(self) -> None:
        """Do what there is to do about once a second while the process runs."""

    def _has_served(self) -> bool:
        """Whether the process that ended has served, however shortly; then the next start need not wait."""
        return False

    def _read_failure(self) -> str | None:
        """Read why the process that ended could not start; None: another start may succeed."""
        return None

    def _spawn(self) -> None:
        arguments = [*self._build_command(), "--parent", str(os.getpid())]
        with self._lock:
            if not self._stopping.is_set():
                self._process = self._take_standby(arguments) or self._start_python(arguments)

    def _start_python(self, arguments: Sequence[str], *, stdin: int | None = None) -> subprocess.Popen[bytes]:
        # Files that it leaves there are removed with the directory of its socket. The import of torch leaves a folder.
        environment = build_environment(TMPDIR=str(self._directory))
        # A session of its own, and shielded, because a signal to the whole service, as by Ctrl-C in a terminal or by
        # systemd, must not end this process before the web server, which still needs it, stops it.
        with shield():
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=Path(__file__).parent.parent,
                env=environment,
                stdin=stdin,
                start_new_session=True,
            )

    def _wait_for(self, process: subprocess.Popen[bytes]) -> int | None:
        """Wait until a process ends, and kill it when it shows no sign of life; return its exit code, None: unknown."""
        self._heartbeat.forget()
        stopped = StoppedWatch()
        ends = select.poll()
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:  # it has been collected already
            return self._exit_codes.pop(process.pid, None)
        try:
            ends.register(handle, select.POLLIN)
            while not ends.poll(1000 * _LOOK_S):
                if stopped.find([process.pid]):
                    log.critical("%s was stopped by a signal and is killed", self._name)
                    process.kill()
                if self._heartbeat.is_silent():
                    log.critical("%s shows no sign of life and is killed", self._name, extra={"seconds": SILENCE_S})
                    process.kill()
                self._look_after()
            self.note_exit()
        finally:
            os.close(handle)
        process.wait()
        return self._exit_codes.pop(process.pid, None)

    def _watch(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            process, started = self._process, time.monotonic()
            if process is None:
                return
            code = self._wait_for(process)
            if self._stopping.is_set():
                return
            failure = self._read_failure()
            if failure is not None:
                log.critical("%s cannot start", self._name, extra={"reason": failure})
                if self._on_failure is not None:
                    self._on_failure(failure)
                return
            short = time.monotonic() - started < HEALTHY_AFTER_S and not self._has_served()
            pause = min(LONGEST_PAUSE_S, max(0.5, 2 * pause)) if short and pause else (0.1 if short else 0.0)
            log.error("%s ended and is started again", self._name, extra={"exit_code": code, "pause_s": pause})
            if self._stopping.wait(pause):
                return
            try:
                self._spawn()
            except OSError as error:  # no memory, or too many processes; the next round tries again, after a pause
                log.error("%s cannot be started", self._name, extra={"error": str(error)})
