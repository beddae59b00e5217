"""Several engines, one for each device, behind one interface: each request goes to the least busy of them."""

import threading
from collections.abc import Callable, Mapping, Sequence

from engine.interface import EmbedRequest, EmbedResult, Engine, Readiness
from models.status import ModelStatus
from processes.exposition import merge_expositions


class ReplicatedEngine:
    """An Engine that spreads requests over one or more engines of the same models.

    The first engine that is ready answers questions about the models.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = list(engines)
        self._lock = threading.Lock()
        # Frames and word pieces of the requests that this process waits for, by engine.
        self._in_flight = [0] * len(self._engines)

    def embed(self, request: EmbedRequest, is_disconnected: Callable[[], bool] | None = None) -> EmbedResult:
        """Embed on the least busy engine that is ready; see Engine.embed.

        If no engine is ready, the least busy engine refuses the request with its reason.
        """
        numbers = range(len(self._engines))
        ready = [number for number in numbers if self._engines[number].get_readiness().ready]
        size = sum(map(len, request.items))
        with self._lock:
            number = min(ready or numbers, key=self._in_flight.__getitem__)
            self._in_flight[number] += size
        try:
            return self._engines[number].embed(request, is_disconnected)
        finally:
            with self._lock:
                self._in_flight[number] -= size

    def get_default_model(self) -> str:
        """Get the name of the model that answers when a request names none; see Engine.get_default_model."""
        return self._find_ready().get_default_model()

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        """List the status of every model of the catalog, by name; see Engine.list_statuses."""
        return self._find_ready().list_statuses()

    def export_metrics(self) -> str:
        """Write the counters of all engines; if there are several, the label `engine` has their numbers from 0."""
        pages = {str(number): engine.export_metrics() for number, engine in enumerate(self._engines)}
        return merge_expositions(pages, "engine") if len(pages) > 1 else pages["0"]

    def get_readiness(self) -> Readiness:
        """Get whether one of the engines can answer; if no engine can, why the first one cannot."""
        states = [engine.get_readiness() for engine in self._engines]
        return next((state for state in states if state.ready), states[0])

    def close(self) -> None:
        """Close every engine; see Engine.close."""
        for engine in self._engines:
            engine.close()

    def _find_ready(self) -> Engine:
        return next((engine for engine in self._engines if engine.get_readiness().ready), self._engines[0])
