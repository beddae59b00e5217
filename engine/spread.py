"""Several engines, one a device, as one: each request goes to the one with the fewest in flight."""

from collections.abc import Callable, Mapping, Sequence

from engine.client import EngineClient
from engine.exposition import merged
from engine.interface import EmbedRequest, EmbedResult, ModelStatus, Readiness


class SpreadEngine:
    """An Engine over one or more clients; the first answers questions about models."""

    def __init__(self, clients: Sequence[EngineClient]) -> None:
        self._clients = list(clients)

    def embed(self, request: EmbedRequest, is_gone: Callable[[], bool] | None = None) -> EmbedResult:
        """Embed on the least busy engine that is ready; if none is, on any, which says why not."""
        ready = [client for client in self._clients if client.readiness().ready]
        return min(ready or self._clients, key=lambda client: client.in_flight).embed(request, is_gone)

    def default_model(self) -> str:
        return self._first().default_model()

    def statuses(self) -> Mapping[str, ModelStatus]:
        return self._first().statuses()

    def metrics(self) -> str:
        """The counters of all engines; several are told apart by the label `engine`, from 0 in the devices' order."""
        pages = {str(number): client.metrics() for number, client in enumerate(self._clients)}
        return merged(pages, "engine") if len(pages) > 1 else pages["0"]

    def readiness(self) -> Readiness:
        """Ready as long as one engine is."""
        states = [client.readiness() for client in self._clients]
        return next((state for state in states if state.ready), states[0])

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _first(self) -> EngineClient:
        return next((client for client in self._clients if client.readiness().ready), self._clients[0])
