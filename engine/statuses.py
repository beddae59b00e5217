"""The states of the models, read in a thread of their own, because reading them touches files."""

import logging
import threading
from collections.abc import Mapping
from typing import Protocol

from models.status import ModelStatus

log = logging.getLogger(__name__)


class _Listing(Protocol):
    def list_statuses(self) -> Mapping[str, ModelStatus]: ...


class StatusReader:
    """Reads the models' states again and again. A slow disk, or a large file, then delays them and no message.

    Args:
        engine: what lists the states.
        pause_s: seconds between two readings.

    Attributes:
        statuses: the states as they were read last; None before the first reading.
    """

    def __init__(self, engine: _Listing, *, pause_s: float) -> None:
        self.statuses: Mapping[str, ModelStatus] | None = None
        self._engine = engine
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="engine-statuses", daemon=True)

    def start(self) -> None:
        """Start to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more. May be called twice."""
        self._stopping.set()

    def _read(self) -> None:
        while not self._stopping.is_set():
            try:
                self.statuses = self._engine.list_statuses()
            except Exception:  # if this thread ended, the states of today would be told for ever
                log.exception("the states of the models cannot be read")
            self._stopping.wait(self._pause_s)
