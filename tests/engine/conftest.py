"""A batcher over fake models, a clock that tests move, and engines on a small real model."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.numpy import load_file, save_file

from engine.batcher import Batcher
from engine.budget import BatchBudget
from engine.cache import TextCache
from engine.local import LocalEngine
from engine.queue import WaitingItems
from engine.settings import EngineSettings
from tests.engine.engines import RECORD
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
        waiting = WaitingItems(max_items=limits.pop("max_items"), max_tokens=limits.pop("max_tokens"))
        built.append(Batcher(models, TextCache(cache), waiting=waiting, **limits))
        return built[-1]

    yield make
    for model in models.here.values():
        model.gate.set()
    for batcher in built:
        batcher.stop(drain=False)


@pytest.fixture
def batcher(make_batcher: Callable[..., Batcher]) -> Batcher:
    return make_batcher()


@pytest.fixture
def weights(tiny_weights: Path, tmp_path: Path) -> Path:
    """A weights folder of the test's own, whose model `tiny` (alias `small`) records the checkpoint it came from."""
    copy = tmp_path / "weights"
    shutil.copytree(tiny_weights, copy, ignore=shutil.ignore_patterns(RECORD))
    model = copy / "tiny" / "model.safetensors"
    save_file(load_file(model), model, metadata={"digest": "0" * 64})
    config = copy / "tiny" / "config.yaml"
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "aliases": ["small"]}))
    return copy


@pytest.fixture
def make_engine(weights: Path, tmp_path: Path) -> Iterator[Callable[..., LocalEngine]]:
    """Starts engines on `weights` alone, and closes them all."""
    (tmp_path / "configs").mkdir()
    built: list[LocalEngine] = []

    def make(**changes: Any) -> LocalEngine:
        first = EngineSettings(
            weights_dir=weights,
            configs_dir=tmp_path / "configs",
            default_model="tiny",
            device="cpu",
            backend="torch",
            threads=1,
            text_cache_items=0,
        )
        built.append(LocalEngine(replace(first, **changes)))
        return built[-1]

    yield make
    for engine in built:
        engine.close()
