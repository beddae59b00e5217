"""Starts the estimators' process, watches it, and starts it again."""

from processes.supervisor import ProcessSupervisor
from video.settings import EstimatorSettings


class EstimatorSupervisor(ProcessSupervisor):
    """The process that holds the queue of videos; it starts and watches the estimator processes itself."""

    def __init__(self, settings: EstimatorSettings, *, drain_s: float = 30.0) -> None:
        super().__init__("estimators", drain_s=drain_s)
        self._settings = settings
        self.address = self.socket_path

    def _command(self) -> list[str]:
        settings = self._settings
        command = ["-m", "video", "serve", "--address", self.address, "--max-waiting", str(settings.max_waiting)]
        return [*command, "--workers", str(settings.worker_count())]
