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
        return ["-m", "video", "serve", "--address", self.address, "--settings", self._settings.to_json()]
