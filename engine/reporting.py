"""What an engine reports of itself to its clients, and to the supervisor that starts the next one."""

import logging
from pathlib import Path

from engine.local import LocalEngine
from engine.messages import EngineStatus
from engine.statuses import StatusReader
from processes.files import write_file

log = logging.getLogger(__name__)


class StatusReporting:
    """Knows an engine's status, and notices when it changes. One thread makes all calls.

    Args:
        record: file that names the loaded models, for the supervisor, which starts the next engine with them.
    """

    def __init__(self, engine: LocalEngine, record: Path | None) -> None:
        self._engine = engine
        self._record = record
        self._reader = StatusReader(engine)
        self._reported: EngineStatus | None = None

    def start(self) -> None:
        """Start to read the models' states."""
        self._reader.start()

    def stop(self) -> None:
        """Read no more. May be called twice."""
        self._reader.stop()

    def get_status(self) -> EngineStatus | None:
        """Get the status; None until the models' states have been read once."""
        models, engine = self._reader.statuses, self._engine
        return None if models is None else EngineStatus(engine.get_default_model(), engine.get_readiness(), models)

    def find_change(self) -> EngineStatus | None:
        """Find the status, if it is another one than this method returned last; None: it is the same, or not known."""
        before, status = self._reported, self.get_status()
        if status is None or (
            before is not None and (status.readiness, status.models) == (before.readiness, before.models)
        ):
            return None
        self._reported = status
        self._write_record(status)
        return status

    def _write_record(self, status: EngineStatus) -> None:
        if self._record is None or not status.readiness.ready:
            return
        loaded = [name for name, model in status.models.items() if model.state == "loaded"]
        names = dict.fromkeys([*loaded, *self._engine.health.preloading])
        try:
            write_file(self._record, "\n".join(names))
        except OSError as error:  # a full disk must not end the service
            log.warning("the loaded models cannot be recorded", extra={"error": str(error)})
