"""Starts a process behind a socket, watches it, and starts it again; an engine, with the models it had."""

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
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder
from models.errors import ModelsError
from models.registry import default_model

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


class EngineSupervisor(ProcessSupervisor):
    """One engine process; it is started again with the models it had.

    Args:
        name: tells the sockets of several engines apart.
    """

    def __init__(self, settings: EngineSettings, *, name: str = "engine", drain_s: float = 30.0) -> None:
        super().__init__(name, drain_s=drain_s)
        self._settings = replace(settings, default_model=_decided_default(settings))
        self.address = f"ipc://{self.socket_path}"
        self._record = self._directory / "loaded"
        self._written_ns = 0

    def _command(self) -> list[str]:
        self._written_ns = self._record_written_ns()
        settings = replace(self._settings, preload=self._models_it_had())
        command = ["-m", "engine", "--address", self.address, "--record", str(self._record)]
        return [*command, *command_line(settings)]

    def _served(self) -> bool:
        return self._record_written_ns() != self._written_ns  # an engine writes it once it is ready

    def _record_written_ns(self) -> int:
        try:
            return self._record.stat().st_mtime_ns
        except OSError:
            return 0

    def _models_it_had(self) -> tuple[str, ...]:
        try:
            had = self._record.read_text(encoding="utf-8").split()
        except OSError:
            had = []
        return tuple(dict.fromkeys([*self._settings.preload, *had]))


def _decided_default(settings: EngineSettings) -> str | None:
    """The default model as the first start finds it: weights that come later must not change it at a crash."""
    try:
        catalog = load_catalog(settings.configs_dir, settings.weights_dir)
        return default_model(catalog, WeightsFolder(settings.weights_dir), wanted=settings.default_model)
    except ModelsError:
        return settings.default_model  # the engine says what is wrong


def command_line(settings: EngineSettings) -> list[str]:
    """The settings as arguments of `python -m engine`; what is None is left out."""
    arguments = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is not None and value != ():
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            arguments += [f"--{field.name.replace('_', '-')}", text]
    return arguments
