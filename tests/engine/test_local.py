"""The engine in this process, on a real small model: when it is ready, why it is not, and how it ends."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine import local, readiness
from engine.budget import SMALLEST_TOKENS
from engine.interface import EmbedRequest
from engine.local import LocalEngine
from engine.tickets import INTERACTIVE_ITEMS
from models.backends import Backend, choice
from models.catalog import ModelConfig
from models.embedding import EmbeddingModel
from models.errors import WeightsMissingError
from processes.errors import EngineStoppedError
from tests.engine.engines import RECORD, WORD, clip, hold_forwards, started
from tests.engine.fakes import TIMEOUT_S, Receiver, in_thread


def tamper(path: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Rewrite a safetensors file, its recorded digest kept."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tensors = {name: array.copy() for name, array in load_file(path).items()}
    change(tensors)
    save_file(tensors, path, metadata=header.get("__metadata__"))


class TestReadiness:
    def test_it_turns_true_only_when_the_probes_came_back(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
    ):
        probing, go_on = threading.Event(), threading.Event()
        real = EmbeddingModel.begin

        def held(self: EmbeddingModel, tower: Any, arrays: Any, lengths: Any = None) -> Any:
            if tower == "pose" and len(arrays) == 1 and threading.current_thread().name == "engine-owner":
                probing.set()
                assert go_on.wait(TIMEOUT_S)
            return real(self, tower, arrays, lengths)

        monkeypatch.setattr(EmbeddingModel, "begin", held)
        engine = make_engine()
        assert probing.wait(TIMEOUT_S)
        assert engine.list_statuses()["tiny"].state == "loaded"
        assert not engine.get_readiness().ready
        assert "loading" in str(engine.get_readiness().reason)
        go_on.set()
        assert started(engine).get_readiness().ready
        assert engine.get_readiness().reason is None

    def test_a_second_start_holds_the_model_to_the_record_of_the_first(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        assert started(make_engine()).get_readiness().ready
        assert (weights / "tiny" / RECORD).is_file()
        assert started(make_engine()).get_readiness().ready

    def test_weights_that_changed_under_their_digest_are_found_out(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        started(make_engine()).close()
        name = "text_tower.bert.encoder.layer.1.output.dense.weight"
        tamper(weights / "tiny" / "model.safetensors", lambda tensors: tensors[name].__imul__(1.5))
        reason = not_ready(make_engine())
        assert "text tower strays" in reason

    def test_a_record_of_other_vectors_is_found_out(self, make_engine: Callable[..., LocalEngine], weights: Path):
        started(make_engine()).close()
        tamper(weights / "tiny" / RECORD, lambda tensors: tensors["pose"].__iadd__(1))
        assert "pose tower strays" in not_ready(make_engine())

    def test_a_record_of_another_shape_is_no_reason_to_load_forever(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        started(make_engine()).close()
        tamper(weights / "tiny" / RECORD, lambda tensors: tensors.update(pose=np.ones(5, dtype=np.float32)))
        assert "loading" not in not_ready(make_engine())

    def test_a_record_of_another_checkpoint_is_replaced(self, make_engine: Callable[..., LocalEngine], weights: Path):
        started(make_engine()).close()
        model = weights / "tiny" / "model.safetensors"
        save_file({k: v * np.float32(1.1) for k, v in load_file(model).items()}, model, metadata={"digest": "1" * 64})
        assert started(make_engine()).get_readiness().ready

    def test_nan_from_the_model_is_found_out(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch, weights: Path
    ):
        started(make_engine()).close()
        tamper(
            weights / "tiny" / "model.safetensors",
            lambda tensors: tensors["pose_tower.mlp.linear2.bias"].__imul__(np.nan),
        )
        assert not_ready(make_engine())

    @pytest.mark.parametrize(
        ("damage", "reason"),
        [
            (lambda path: path.write_bytes(path.read_bytes()[:100]), "safetensors"),
            (lambda path: tamper(path, lambda tensors: tensors.pop("pose_tower.mlp.linear1.bias")), "linear1.bias"),
            (lambda path: path.unlink(), "weights"),
        ],
        ids=["truncated", "tensor missing", "gone"],
    )
    def test_a_file_that_does_not_load_is_the_reason(
        self, make_engine: Callable[..., LocalEngine], weights: Path, damage: Callable[[Path], object], reason: str
    ):
        damage(weights / "tiny" / "model.safetensors")
        assert reason in not_ready(make_engine())

    def test_whatever_ends_the_start_is_the_reason(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
    ):
        def fail(*args: object, **kwargs: object) -> None:
            raise MemoryError

        monkeypatch.setattr(readiness, "find_expected_vectors", fail)
        assert "MemoryError" in not_ready(make_engine())


class TestFilesThatComeLater:
    @pytest.fixture(autouse=True)
    def impatience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(readiness, "_LOOK_S", 0.01)

    @pytest.mark.parametrize("first", ["missing", "damaged", "strays"])
    def test_an_engine_becomes_ready_without_a_restart(
        self, make_engine: Callable[..., LocalEngine], weights: Path, first: str
    ):
        started(make_engine()).close()  # leaves a record of the probe
        model, kept = weights / "tiny" / "model.safetensors", weights / "kept"
        kept.write_bytes(model.read_bytes())
        if first == "missing":
            model.unlink()
        elif first == "damaged":
            model.write_bytes(b"damaged")
        else:
            tamper(model, lambda tensors: tensors["pose_tower.mlp.linear2.bias"].__imul__(np.nan))
        engine = make_engine()
        assert not_ready(engine)
        kept.replace(model)
        engine.health._thread.join(TIMEOUT_S)
        assert engine.get_readiness().ready
        assert engine.embed(EmbedRequest("tiny", "text", [WORD])).embeddings.any()

    def test_it_loads_nothing_again_while_nothing_changes(self, make_engine: Callable[..., LocalEngine], weights: Path):
        (weights / "tiny" / "model.safetensors").write_bytes(b"damaged")
        engine = make_engine()
        assert not_ready(engine)
        looked, asked = threading.Event(), []
        engine.registry.get = asked.append  # type: ignore[method-assign, assignment]
        files = engine.health._fingerprint_files
        engine.health._fingerprint_files = lambda: (looked.set(), files())[1]  # type: ignore[method-assign]
        assert looked.wait(TIMEOUT_S)
        engine.close()
        assert not asked

    def test_another_models_files_serve_as_soon_as_they_are_there(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        late = weights / "late"
        late.mkdir()
        (late / "config.yaml").write_bytes((weights / "tiny" / "config.yaml").read_bytes().replace(b"small", b"l"))
        engine = started(make_engine())
        with pytest.raises(WeightsMissingError):
            engine.embed(EmbedRequest("late", "text", [WORD]))
        assert engine.list_statuses()["late"].state == "missing"
        (late / "tokenizer").symlink_to(weights / "tiny" / "tokenizer")
        (late / "model.safetensors").symlink_to(weights / "tiny" / "model.safetensors")
        assert engine.list_statuses()["late"].state == "available"
        same = [engine.embed(EmbedRequest(name, "text", [WORD])).embeddings for name in ("late", "tiny")]
        np.testing.assert_array_equal(*same)

    def test_a_slow_load_holds_up_neither_others_nor_the_list_of_models(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        slow = weights / "slow"
        slow.mkdir()
        (slow / "config.yaml").write_bytes((weights / "tiny" / "config.yaml").read_bytes().replace(b"small", b"s"))
        for name in ("tokenizer", "model.safetensors"):
            (slow / name).symlink_to(weights / "tiny" / name)
        engine = started(make_engine())
        loading, go_on = threading.Event(), threading.Event()
        make_backend = engine.registry._make_backend

        def held(path: Path, config: ModelConfig) -> Backend:
            loading.set()
            assert go_on.wait(TIMEOUT_S)
            return make_backend(path, config)

        engine.registry._make_backend = held
        waiting = in_thread(lambda: engine.embed(EmbedRequest("slow", "text", [WORD])))
        assert loading.wait(TIMEOUT_S)
        for _ in range(3):
            assert engine.embed(EmbedRequest("tiny", "pose", [clip(4)])).embeddings.any()
        assert engine.list_statuses()["slow"].state == "loading"
        go_on.set()
        assert waiting().embeddings.any()  # type: ignore[attr-defined]


def not_ready(engine: LocalEngine) -> str:
    readiness = started(engine).get_readiness()
    assert not readiness.ready
    return str(readiness.reason)


class TestClose:
    def test_it_answers_what_was_admitted_and_refuses_the_rest(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
    ):
        engine = started(make_engine())
        running, go_on = hold_forwards(monkeypatch)
        receivers = [Receiver(), Receiver()]
        engine.submit(EmbedRequest("tiny", "text", [WORD]), receivers[0])
        assert running.wait(TIMEOUT_S)
        engine.submit(EmbedRequest("tiny", "pose", [clip(4)]), receivers[1])
        closing = in_thread(engine.close)
        while engine.get_readiness().ready:
            threading.Event().wait(0.002)
        go_on.set()
        closing()
        for receiver in receivers:
            assert receiver.result().embeddings.any()
        with pytest.raises(EngineStoppedError):
            engine.embed(EmbedRequest("tiny", "text", [WORD]))

    def test_twice_and_from_two_threads(self, make_engine: Callable[..., LocalEngine]):
        engine = make_engine()
        closings = [in_thread(engine.close) for _ in range(2)]
        for closing in closings:
            closing()
        engine.close()
        assert engine.get_readiness() == local.Readiness(False, "the engine is shutting down")

    def test_during_a_load_it_ends_and_never_turns_ready(
        self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
    ):
        loading, go_on = threading.Event(), threading.Event()
        real = choice.make_backend

        def held(*args: Any, **kwargs: Any) -> Any:
            loading.set()
            assert go_on.wait(TIMEOUT_S)
            return real(*args, **kwargs)

        monkeypatch.setattr(choice, "make_backend", held)
        engine = make_engine()
        assert loading.wait(TIMEOUT_S)
        assert engine.list_statuses()["tiny"].state == "loading"
        request = in_thread(lambda: engine.embed(EmbedRequest("tiny", "text", [WORD])))
        closing = in_thread(engine.close)
        go_on.set()
        closing()
        with suppress(EngineStoppedError):  # admitted before the close, or refused by it
            assert request().embeddings.any()  # type: ignore[attr-defined]
        assert not engine.get_readiness().ready
        assert not engine.health._thread.is_alive()
        assert engine.list_statuses()["tiny"].state != "loaded"

    def test_no_thread_outlives_it(self, make_engine: Callable[..., LocalEngine]):
        before = set(threading.enumerate())  # engines of other tests' fixtures may still run
        engine = started(make_engine())
        engine.embed(EmbedRequest("tiny", "text", [WORD]))
        engine.close()
        left = set(threading.enumerate()) - before
        assert not [thread.name for thread in left if thread.name.startswith("engine-")]


def test_a_warm_up_is_as_large_as_it_counts_and_waits_for_no_bulk(tiny_model: EmbeddingModel) -> None:
    for tower, make in readiness.build_warm_up(tiny_model.config, 100, positions=SMALLEST_TOKENS).items():
        first, second = make(), make()
        assert sum(len(item) + (2 if tower == "pose" else 0) for item in first) == SMALLEST_TOKENS
        assert len(first) <= INTERACTIVE_ITEMS
        assert not np.array_equal(first, second)
