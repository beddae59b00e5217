"""A stand-in for LocalEngine: its face over a batcher of fake models, and a health that tests set."""

from collections.abc import Callable, Mapping, Sequence

from engine.batcher import Batcher
from engine.delivery import Deliver
from engine.interface import EmbedRequest, Readiness
from engine.tickets import Ticket
from models.errors import ModelsError, WeightsMissingError
from models.status import ModelStatus
from processes.errors import ProcessError
from tests.engine.fakes import FakeModels


class FakeHealth:
    """EngineHealth's face."""

    def __init__(self) -> None:
        self.start_failure: str | None = None
        self.defect: str | None = None
        self.preloading: tuple[str, ...] = ()

    def find_defect(self) -> str | None:
        return self.defect


class FakeEngine:
    """LocalEngine's face over a batcher of fake models."""

    def __init__(self, batcher: Batcher, models: FakeModels) -> None:
        self.batcher, self.models = batcher, models
        self.state = Readiness(True)
        self.changes = 0
        self.health = FakeHealth()
        self.cancelled: list[Ticket] = []

    def submit_all(self, requests: Sequence[tuple[EmbedRequest, Deliver]]) -> list[Ticket | ProcessError | ModelsError]:
        return [self._submit(request, deliver) for request, deliver in requests]

    def _submit(self, request: EmbedRequest, deliver: Deliver) -> Ticket | ProcessError | ModelsError:
        if request.model == "absent":
            return WeightsMissingError("absent", "weights", "fetch it")
        return self.batcher.submit_all([(request, deliver)])[0]

    def watch_answers(self, on_answers: Callable[[], None]) -> None:
        self.batcher.on_answers = on_answers

    def count_changes(self) -> int:
        return self.changes

    def cancel(self, ticket: Ticket) -> None:
        self.cancelled.append(ticket)
        self.batcher.cancel(ticket)

    def get_default_model(self) -> str:
        return "m"

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        return {name: ModelStatus(name, "loaded") for name in self.models.here}

    def get_readiness(self) -> Readiness:
        return self.state

    def export_metrics(self) -> str:
        return "signclip_engine_ready 1\n"

    def close(self) -> None:
        self.batcher.stop()
