"""Several engines, one a device, as one: each request goes to the one with the least in flight."""

import threading
from collections.abc import Callable, Mapping, Sequence

from engine.interface import EmbedRequest, EmbedResult, Engine, Readiness
from models.status import ModelStatus
from processes.exposition import merge_expositions


class ReplicatedEngine:
    """An Engine over one or more; the first that is ready answers questions about models."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = list(engines)
        self._lock = threading.Lock()
        # Frames and word pieces that this process waits for, by engine.
        self._in_flight = [0] * len(self._engines)

    def embed(self, request: EmbedRequest, is_disconnected: Callable[[], bool] | None = None) -> EmbedResult:
        """Embed on the least busy engine that is ready; if none is, on any, which says why not."""
        everyone = range(len(self._engines))
        ready = [number for number in everyone if self._engines[number].get_readiness().ready]
        size = sum(map(len, request.items))
        with self._lock:
            number = min(ready or everyone, key=self._in_flight.__getitem__)
            self._in_flight[number] += size
        try:
            return self._engines[number].embed(request, is_disconnected)
        finally:
            with self._lock:
                self._in_flight[number] -= size

    def get_default_model(self) -> str:
        return self._first().get_default_model()

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        return self._first().list_statuses()

    def export_metrics(self) -> str:
        """The counters of all engines; several are told apart by the label `engine`, from 0 in the devices' order."""
        pages = {str(number): engine.export_metrics() for number, engine in enumerate(self._engines)}
        return merge_expositions(pages, "engine") if len(pages) > 1 else pages["0"]

    def get_readiness(self) -> Readiness:
        """Ready as long as one engine is."""
        states = [engine.get_readiness() for engine in self._engines]
        return next((state for state in states if state.ready), states[0])

    def close(self) -> None:
        for engine in self._engines:
            engine.close()

    def _first(self) -> Engine:
        return next((engine for engine in self._engines if engine.get_readiness().ready), self._engines[0])
