"""Several engines as one: who is asked, and what they count together."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from engine.interface import EmbedRequest, EmbedResult, Readiness
from engine.metrics import EngineMetrics
from engine.replicas import ReplicatedEngine
from tests.engine.fakes import TIMEOUT_S, in_thread, text, until


@dataclass
class FakeClient:
    """An engine's client that notes what it is asked."""

    ready: bool = True
    hold: threading.Event | None = None
    counters: EngineMetrics = field(default_factory=EngineMetrics)
    away: bool = False
    asked: list[EmbedRequest] = field(default_factory=list)

    def get_readiness(self) -> Readiness:
        return Readiness(self.ready, None if self.ready else "loading")

    def embed(self, request: EmbedRequest, is_disconnected: Any = None) -> EmbedResult:
        self.asked.append(request)
        if self.hold is not None:
            assert self.hold.wait(TIMEOUT_S)
        return EmbedResult(np.zeros((1, 2), dtype=np.float32))

    def export_metrics(self) -> str:
        return "" if self.away else self.counters.export()


def spread(*clients: FakeClient) -> ReplicatedEngine:
    return ReplicatedEngine(clients)  # type: ignore[arg-type]


def samples(page: str) -> dict[tuple[str, ...], float]:
    families = list(text_string_to_metric_families(page))
    assert len({family.name for family in families}) == len(families), "a metric stands on the page twice"
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_the_least_busy_engine_that_is_ready_is_asked() -> None:
    """Busy is who has the most to embed, not who has the most requests."""
    hold = threading.Event()
    clients = FakeClient(ready=False), FakeClient(hold=hold), FakeClient(hold=hold)
    engine = spread(*clients)
    waiting = []
    for number, words in enumerate((9, 2, 3, 1), start=1):
        waiting.append(in_thread(lambda words=words: engine.embed(EmbedRequest("m", "text", [text(*[1] * words)]))))
        until(lambda number=number: sum(len(client.asked) for client in clients) == number)
    hold.set()
    for finish in waiting:
        finish()
    assert [[len(request.items[0]) for request in client.asked] for client in clients] == [[], [9], [2, 3, 1]]
    engine.embed(EmbedRequest("m", "text", [text(1)]))
    assert len(clients[1].asked) == 2, "what was answered still counts"


def test_the_counters_of_all_engines_stand_side_by_side() -> None:
    clients = FakeClient(), FakeClient(ready=False)
    for client, count in zip(clients, (3, 4), strict=True):
        client.counters.count_batch("m", "text", items=count, tokens=8, padded=8, seconds=0.1)
        client.counters.count_lookups(hits=count, misses=0)
    found = samples(spread(*clients).export_metrics())
    for number, count in (("0", 3), ("1", 4)):
        assert found["signclip_engine_batch_items_sum", number, "m", "text"] == count
        assert found["signclip_engine_batch_items_bucket", number, "4.0", "m", "text"] == 1
        assert found["signclip_engine_text_cache_total", number, "hit"] == count
        assert found["signclip_engine_process_resident_memory_bytes", number] > 0


def test_an_engine_that_is_away_hides_no_other() -> None:
    clients = FakeClient(away=True), FakeClient()
    clients[1].counters.count_wait(0.1)
    found = samples(spread(*clients).export_metrics())
    assert found["signclip_engine_queue_wait_seconds_count", "1"] == 1
    assert not any("0" in labels for _, *labels in found)


def test_one_engine_needs_no_label() -> None:
    client = FakeClient()
    client.counters.count_wait(0.1)
    assert samples(spread(client).export_metrics())["signclip_engine_queue_wait_seconds_count",] == 1
    client.away = True
    assert spread(client).export_metrics() == ""
