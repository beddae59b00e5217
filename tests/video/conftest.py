"""Estimators over processes that do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.video.fake_process import FakeProcess
from video import local
from video.local import LocalEstimators
from video.settings import EstimatorHealth, EstimatorSettings
from video.worker_process import EstimatorProcess


@pytest.fixture
def make_estimators(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LocalEstimators]]:
    """Build estimators; whatever they still hold is let through at the end."""
    monkeypatch.setattr(local, "EstimatorProcess", FakeProcess)
    FakeProcess.clean()
    made: list[LocalEstimators] = []

    def make(**settings: Any) -> LocalEstimators:
        made.append(LocalEstimators(EstimatorSettings(**{"workers": 2, "max_waiting": 3, **settings})))
        return made[-1]

    yield make
    FakeProcess.gate.set()
    for estimators in made:
        estimators.close()


@pytest.fixture
def own() -> Iterator[Callable[..., EstimatorProcess]]:
    made: list[EstimatorProcess] = []

    def make(**health: Any) -> EstimatorProcess:
        made.append(EstimatorProcess(EstimatorHealth(**health)))
        return made[-1]

    yield make
    for process in made:
        process.close()
