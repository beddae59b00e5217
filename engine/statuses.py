"""The states of the models, read in a thread of their own, because reading them touches files."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Protocol

from models.status import ModelStatus

log = logging.getLogger(__name__)


# How often the loop of `StatusReader` asks whether a state has changed, in seconds.
PAUSE_S = 0.1
# How often the files of models that are not loaded are looked at, in seconds: a download shows in the states after it.
FILES_S = 5.0


class _Listing(Protocol):
    def list_statuses(self) -> Mapping[str, ModelStatus]: ...
    def count_changes(self) -> int: ...


class StatusReader:
    """Reads the models' states when one of them changed. A slow disk, or a large file, then delays them and no message.

    Args:
        engine: what lists the states and counts their changes, apart from those of files.

    Attributes:
        statuses: the states as they were read last; None before the first reading.
    """

    def __init__(self, engine: _Listing) -> None:
        self.statuses: Mapping[str, ModelStatus] | None = None
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="engine-statuses", daemon=True)

    def start(self) -> None:
        """Start to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more. May be called twice."""
        self._stopping.set()

    def _read(self) -> None:
        known, read = -1, 0.0
        while not self._stopping.is_set():
            changes = self._engine.count_changes()
            if changes != known or time.monotonic() - read > FILES_S:
                # Counted before the states are listed, so that a change in the meantime is found the next time.
                known, read = changes, time.monotonic()
                try:
                    self.statuses = self._engine.list_statuses()
                except Exception:  # if this thread ended, the states of today would be told for ever
                    log.exception("the states of the models cannot be read")
            self._stopping.wait(PAUSE_S)
