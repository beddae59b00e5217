"""What the estimators are built from. The service's settings give these; a notebook may take the defaults."""

from dataclasses import dataclass, field

from processes.cores import core_count
from video.worker_process import EstimatorHealth


@dataclass(frozen=True)
class EstimatorSettings:
    """Limits of one queue and its processes.

    Attributes:
        workers: processes; None: one a core, which a tracker fills.
        max_waiting: videos that may wait for a process; one more is refused.
        max_bytes: of all videos that wait or run; more are refused.
        health: when a process is given up.
    """

    workers: int | None = None
    max_waiting: int = 64
    max_bytes: int = 1024 * 1024 * 1024
    health: EstimatorHealth = field(default_factory=EstimatorHealth)

    def worker_count(self) -> int:
        return self.workers or core_count()
