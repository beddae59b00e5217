"""Starts an engine process, watches it, and starts it again with the models it had."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

from engine.settings import EngineSettings

log = logging.getLogger(__name__)
# An engine that ends within this many seconds of its start is started again ever more slowly, up to the longest pause.
HEALTHY_AFTER_S = 10.0
LONGEST_PAUSE_S = 10.0


class EngineSupervisor:
    """One engine process and the private directory of its socket.

    Args:
        name: tells the sockets of several engines apart.
        drain_s: how long a stopping engine may take to answer what it admitted.
    """

    def __init__(self, settings: EngineSettings, *, name: str = "engine", drain_s: float = 30.0) -> None:
        self._settings = settings
        self._drain_s = drain_s
        # mkdtemp makes it 0700: whoever can enter can ask for vectors, and nobody else can.
        self._directory = Path(tempfile.mkdtemp(prefix="signclip-"))
        self.address = f"ipc://{self._directory / name}.sock"
        self._record = self._directory / "loaded"
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="engine-supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the engine that runs now."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        self._spawn()
        self._watcher.start()

    def stop(self) -> None:
        """Let the engine answer what it admitted, then end it; after drain_s it is killed. May be called twice."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(self._drain_s)
            except subprocess.TimeoutExpired:
                log.warning("the engine did not drain in time", extra={"seconds": self._drain_s})
                process.kill()
                process.wait()
        if self._watcher.is_alive():
            self._watcher.join()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _spawn(self) -> None:
        settings = replace(self._settings, preload=self._models_it_had())
        command = [sys.executable, "-m", "engine", "--address", self.address, "--parent", str(os.getpid())]
        command += ["--record", str(self._record), *command_line(settings)]
        # A session of its own: Ctrl-C in a terminal reaches the web server, which then stops the engine in order.
        self._process = subprocess.Popen(command, cwd=Path(__file__).parent.parent, start_new_session=True)

    def _models_it_had(self) -> tuple[str, ...]:
        try:
            had = self._record.read_text(encoding="utf-8").split()
        except OSError:
            had = []
        return tuple(dict.fromkeys([*self._settings.preload, *had]))

    def _watch(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            process, started = self._process, time.monotonic()
            if process is None:
                return
            code = process.wait()
            if self._stopping.is_set():
                return
            short = time.monotonic() - started < HEALTHY_AFTER_S
            pause = min(LONGEST_PAUSE_S, max(0.5, 2 * pause)) if short and pause else (0.1 if short else 0.0)
            log.error("the engine ended and is started again", extra={"exit_code": code, "pause_s": pause})
            if self._stopping.wait(pause):
                return
            self._spawn()


def command_line(settings: EngineSettings) -> list[str]:
    """The settings as arguments of `python -m engine`; what is None is left out."""
    arguments = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is not None and value != ():
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            arguments += [f"--{field.name.replace('_', '-')}", text]
    return arguments
