"""Starts the engine's process, watches it, and starts it again with the models it had."""

import json
import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from engine.settings import EngineSettings
from models.checkpoints.folders import WeightsFolder
from models.errors import ModelsError
from models.registry import choose_default_model
from processes.supervisor import ProcessSupervisor

log = logging.getLogger(__name__)
# A process that stands by and ends is replaced once in this time, in seconds. One that cannot import its libraries
# would otherwise keep a core busy.
_STANDBY_PAUSE_S = 30.0


class EngineSupervisor(ProcessSupervisor):
    """One engine process; when it ends, it is started again with the models it had.

    If the first engine finds that it cannot serve, on this device or with these weights, it reports why, and is not
    started again. After an engine was ready, its end may have a passing cause, so it is always started again.

    Args:
        name: tells the sockets of several engines apart.
        drain_s: how long the engine may take to answer what it admitted, after it was asked to stop.
        on_failure: called with the reason, from another thread, when no engine can start.
        standby: whether a second process stands by, which has imported the libraries of the next engine.

    Attributes:
        address: `ipc://` address that clients connect to.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        name: str = "engine",
        drain_s: float = 30.0,
        on_failure: Callable[[str], None] | None = None,
        standby: bool = False,
    ) -> None:
        super().__init__(name, drain_s=drain_s, on_failure=on_failure)
        self._settings = replace(settings, default_model=_decide_default(settings))
        self.address = f"ipc://{self.socket_path}"
        self._record = self._directory / "loaded"
        self._written_ns = 0
        self._failure_file = self._directory / "failure"
        self._stands_by = standby
        self._standby: subprocess.Popen[bytes] | None = None
        self._standby_after = 0.0

    def _build_command(self) -> list[str]:
        self._written_ns = self._read_record_time_ns()
        settings = replace(self._settings, preload=self._list_models_it_had())
        command = ["-m", "engine", "--address", self.address, "--record", str(self._record)]
        if not self._written_ns:  # no engine was ready yet
            command += ["--failure", str(self._failure_file)]
        return [*command, "--settings", settings.to_json()]

    def ask_to_stop(self) -> None:
        """Also end the process that stands by."""
        super().ask_to_stop()
        with self._lock:
            standby, self._standby = self._standby, None
        if standby is not None:
            _end(standby)

    def _look_after(self) -> None:
        """Have a process stand by, once the engine itself is ready and needs the cores no more."""
        if not self._stands_by or not self._has_served() or time.monotonic() < self._standby_after:
            return
        with self._lock:
            if self._stopping.is_set() or (self._standby is not None and self._standby.poll() is None):
                return
            self._standby_after = time.monotonic() + _STANDBY_PAUSE_S
            command = ["-m", "engine", "--standby", "--settings", self._settings.to_json()]
            with suppress(OSError):  # no memory, or too many processes; it is only there to save time
                self._standby = self._start_python([*command, "--parent", str(os.getpid())], stdin=subprocess.PIPE)

    def _take_standby(self, arguments: Sequence[str]) -> subprocess.Popen[bytes] | None:
        standby, self._standby = self._standby, None
        self._standby_after = 0.0
        if standby is None or standby.stdin is None:
            return None
        if standby.poll() is not None:
            _end(standby)
            return None
        try:
            with standby.stdin as orders:
                orders.write(json.dumps(arguments[2:]).encode() + b"\n")  # without -m engine
        except OSError:
            _end(standby)
            return None
        log.info("the process that stood by takes over")
        return standby

    def _has_served(self) -> bool:
        return self._read_record_time_ns() != self._written_ns  # an engine writes it when it is ready

    def _read_failure(self) -> str | None:
        try:
            return self._failure_file.read_text(encoding="utf-8")
        except OSError:
            return None

    def _read_record_time_ns(self) -> int:
        try:
            return self._record.stat().st_mtime_ns
        except OSError:
            return 0

    def _list_models_it_had(self) -> tuple[str, ...]:
        try:
            had = self._record.read_text(encoding="utf-8").split()
        except OSError:
            had = []
        return tuple(dict.fromkeys([*self._settings.preload, *had]))


def _decide_default(settings: EngineSettings) -> str | None:
    """Decide the default model at the first start, because weights that come later must not change it at a crash."""
    try:
        catalog = settings.load_catalog()
        return choose_default_model(catalog, WeightsFolder(settings.weights_dir), wanted=settings.default_model)
    except ModelsError:
        return settings.default_model  # the engine reports what is wrong


def _end(standby: subprocess.Popen[bytes]) -> None:
    """End a process that stands by; it holds nothing."""
    standby.kill()
    standby.wait()
    if standby.stdin is not None:
        with suppress(OSError):
            standby.stdin.close()
