"""A batcher over fake models, and a clock that tests move."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.batcher import Batcher
from engine.budget import BatchBudget
from engine.cache import TextCache
from tests.engine.fakes import Clock, FakeModels


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time as queue and batcher see it; waiting for events still takes real time."""
    clock = Clock()
    monkeypatch.setattr("engine.batcher.time", clock)
    monkeypatch.setattr("engine.queue.time", clock)
    return clock


@pytest.fixture
def models() -> FakeModels:
    return FakeModels("m")


@pytest.fixture
def make_batcher(models: FakeModels) -> Iterator[Callable[..., Batcher]]:
    """Builds batchers over `models` and ends them all, gates opened."""
    built: list[Batcher] = []

    def make(*, cache: int = 0, **limits: Any) -> Batcher:
        limits = {"budget": 64, "max_items": 1000, "max_tokens": 100_000, **limits}
        limits["budget"] = BatchBudget(target_s=1.0, first=limits["budget"], fixed=limits["budget"])
        built.append(Batcher(models, TextCache(cache), **limits))
        return built[-1]

    yield make
    for model in models.here.values():
        model.gate.set()
    for batcher in built:
        batcher.stop(drain=False)


@pytest.fixture
def batcher(make_batcher: Callable[..., Batcher]) -> Batcher:
    return make_batcher()
