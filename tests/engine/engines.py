"""What the tests of LocalEngine share: items for the small model, and ways to hold an engine where it is."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.local import LocalEngine
from models.embedding import EmbeddingModel
from tests.engine.fakes import TIMEOUT_S, text

RECORD = "tiny.probe.safetensors"
WORD = text(2, 20, 21, 3)


def clip(frames: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((frames, 609)).astype(np.float32)


def started(engine: LocalEngine) -> LocalEngine:
    """Wait until it is decided whether the engine is ready."""
    assert engine.health._decided.wait(TIMEOUT_S)
    return engine


def hold_forwards(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Events: a forward has begun; forwards may go on."""
    running, go_on = threading.Event(), threading.Event()
    real = EmbeddingModel.begin

    def held(self: EmbeddingModel, *batch: Any) -> Any:
        running.set()
        assert go_on.wait(TIMEOUT_S)
        return real(self, *batch)

    monkeypatch.setattr(EmbeddingModel, "begin", held)
    return running, go_on
