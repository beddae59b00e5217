"""Starts the process of the estimators, watches it, and starts it again when it ends."""

from processes.supervisor import ProcessSupervisor
from video.settings import EstimatorSettings


class EstimatorSupervisor(ProcessSupervisor):
    """The process that has the queue of videos. That process itself starts and watches the processes with trackers.

    Args:
        drain_s: how long it may take to finish what it admitted, after it was asked to stop.

    Attributes:
        address: path of the socket that clients connect to.
    """

    def __init__(self, settings: EstimatorSettings, *, drain_s: float = 30.0) -> None:
        super().__init__("estimators", drain_s=drain_s)
        self._settings = settings
        self.address = self.socket_path

    def _build_command(self) -> list[str]:
        return ["-m", "video", "serve", "--address", self.address, "--settings", self._settings.to_json()]
