"""What an engine does about a device that fails for good, and about models that do not load beside the default one."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import readiness
from engine.interface import EmbedRequest
from engine.local import LocalEngine
from engine.readiness import EngineHealth
from models.embedding import EmbeddingModel
from tests.engine.engines import WORD, clip, hold_forwards, started
from tests.engine.fakes import TIMEOUT_S, in_thread, until


class TestABrokenDevice:
    def test_forwards_that_all_fail_and_a_probe_that_does_too(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
    ):
        engine = started(make_engine())
        assert engine.health.find_defect() is None

        def fail(*_: object) -> None:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        monkeypatch.setattr(EmbeddingModel, "begin", fail)
        for _ in range(readiness.SUSPICIOUS_BATCHES):
            assert engine.health.find_defect() is None
            assert engine.embed(EmbedRequest("tiny", "text", [WORD])).failures
        until(lambda: engine.health.find_defect() is not None)
        assert "the probe too" in (engine.health.find_defect() or "")

    def test_items_that_fail_while_the_probe_does_not(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
    ):
        engine, real = started(make_engine()), EmbeddingModel.begin

        def fail(self: EmbeddingModel, tower: Any, arrays: Any, lengths: Any) -> Any:
            if lengths[0] == 7:
                raise RuntimeError("this item")
            return real(self, tower, arrays, lengths)

        monkeypatch.setattr(EmbeddingModel, "begin", fail)
        for _ in range(readiness.SUSPICIOUS_BATCHES):
            assert engine.embed(EmbedRequest("tiny", "pose", [clip(7)])).failures
        assert engine.health.find_defect() is None
        until(lambda: engine._batcher.failed_batches == 0)
        assert engine.health.find_defect() is None

    def test_a_forward_that_never_ends(self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch):
        engine = started(make_engine())
        running, go_on = hold_forwards(monkeypatch)
        finish = in_thread(lambda: engine.embed(EmbedRequest("tiny", "text", [WORD])))
        assert running.wait(TIMEOUT_S)
        assert engine.health.find_defect() is None
        monkeypatch.setattr(readiness, "STUCK_S", 0.0)
        assert "has run for" in (engine.health.find_defect() or "")
        go_on.set()
        finish()
        until(lambda: engine.health.find_defect() is None)


class TestAStartThatCannotSucceed:
    @pytest.fixture(autouse=True)
    def impatience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(readiness, "_LOOK_S", 0.01)

    def test_files_that_stay_damaged_are_its_failure(self, make_engine: Callable[..., LocalEngine], weights: Path):
        (weights / "tiny" / "model.safetensors").write_bytes(b"damaged")
        engine = started(make_engine())
        until(lambda: engine.health.start_failure is not None)
        assert engine.health.start_failure == engine.get_readiness().reason

    def test_a_probe_that_strays_is_its_failure(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(readiness, "measure_error", lambda *_: 1.0)
        engine = started(make_engine())
        until(lambda: engine.health.start_failure is not None)
        assert "strays 1.0e+00 from its probe, past 0.001" in (engine.health.start_failure or "")

    def test_a_device_that_runs_no_item_is_not_waited_for_and_not_blamed_on_the_files(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
    ):
        """One failed forward pass may pass; only files that are wrong, or a probe that strays, stay so."""

        def fail(*_: object) -> None:
            raise RuntimeError("out of memory")

        monkeypatch.setattr(EmbeddingModel, "begin", fail)
        looked, asked = watch_files(monkeypatch)
        engine = started(make_engine())
        assert looked.wait(TIMEOUT_S)
        assert asked
        assert engine.health.start_failure is None

    def test_missing_files_may_come(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch, weights: Path
    ):
        (weights / "tiny" / "model.safetensors").unlink()
        looked, _ = watch_files(monkeypatch)
        engine = started(make_engine())
        assert looked.wait(TIMEOUT_S)
        assert engine.health.start_failure is None
        assert not engine.get_readiness().ready

    def test_files_that_change_after_the_first_failure_are_being_copied(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch, weights: Path
    ):
        model = weights / "tiny" / "model.safetensors"
        model.write_bytes(b"damaged")
        copying, fingerprints = iter(range(4)), iter(range(100))
        real = EngineHealth._fingerprint_files
        looked = threading.Event()

        def change(health: EngineHealth) -> object:
            """Files that change three times, then stay as they are."""
            if next(copying, None) is not None:
                return next(fingerprints)
            looked.set()
            return real(health)

        monkeypatch.setattr(EngineHealth, "_fingerprint_files", change)
        engine = started(make_engine())
        assert looked.wait(TIMEOUT_S)
        engine.close()
        assert engine.health.start_failure is None


def watch_files(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[EngineHealth]]:
    """An event: the files were looked at five times; and who looked."""
    real, looked, asked = EngineHealth._fingerprint_files, threading.Event(), []

    def fingerprint(health: EngineHealth) -> object:
        asked.append(health)
        if len(asked) == 5:
            looked.set()
        return real(health)

    monkeypatch.setattr(EngineHealth, "_fingerprint_files", fingerprint)
    return looked, asked


class TestPreloading:
    def test_another_model_that_is_broken_keeps_nobody_from_the_default_one(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        for name in ("broken", "whole"):
            (weights / name).mkdir()
            config = (weights / "tiny" / "config.yaml").read_text().replace("small", f"s-{name}")
            (weights / name / "config.yaml").write_text(config)
            (weights / name / "tokenizer").symlink_to(weights / "tiny" / "tokenizer")
        (weights / "broken" / "model.safetensors").write_bytes(b"broken")
        (weights / "whole" / "model.safetensors").symlink_to(weights / "tiny" / "model.safetensors")
        engine = started(make_engine(preload=("broken", "whole")))
        assert engine.get_readiness().ready
        engine.health._thread.join(TIMEOUT_S)
        states = engine.list_statuses()
        assert (states["broken"].state, states["whole"].state) == ("failed", "loaded")
        assert not engine.health.preloading
