"""Requests to the engine in this process: the right vectors whatever the company, and typed refusals."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ItemFailedError, ModelFailedError
from engine.interface import EmbedRequest
from engine.local import LocalEngine
from engine.settings import EngineSettings
from models.embedding import EmbeddingModel
from models.errors import UnknownModelError, WeightsMissingError
from processes.errors import QueueFullError
from tests.engine.engines import WORD, clip, hold_forwards, started
from tests.engine.fakes import TIMEOUT_S, Receiver, text


class TestRequests:
    def test_vectors_are_those_of_the_bare_model(
        self, make_engine: Callable[..., LocalEngine], tiny_model: EmbeddingModel
    ):
        engine = make_engine()
        for tower, items in (("text", [WORD, text(2, 9, 3)]), ("pose", [clip(5), clip(9)])):
            result = engine.embed(EmbedRequest("tiny", tower, items))
            np.testing.assert_allclose(result.embeddings, tiny_model.encode(tower, items), rtol=1e-5, atol=1e-6)
            assert not result.failures

    def test_an_alias_finds_its_model(self, make_engine: Callable[..., LocalEngine]):
        engine = make_engine()
        deadline = time.monotonic() + TIMEOUT_S
        np.testing.assert_array_equal(
            engine.embed(EmbedRequest("small", "text", [WORD], deadline)).embeddings,
            engine.embed(EmbedRequest("tiny", "text", [WORD], deadline)).embeddings,
        )

    def test_an_unknown_model_is_refused_with_the_known_ones(self, make_engine: Callable[..., LocalEngine]):
        with pytest.raises(UnknownModelError, match="tiny"):
            make_engine().embed(EmbedRequest("other", "text", [WORD]))

    def test_missing_weights_are_refused_before_anything_waits(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        (weights / "empty").mkdir()
        shutil.copy(weights / "tiny" / "config.yaml", weights / "empty" / "config.yaml")
        config = yaml.safe_load((weights / "empty" / "config.yaml").read_text())
        (weights / "empty" / "config.yaml").write_text(yaml.safe_dump({**config, "aliases": []}))
        engine = make_engine()
        with pytest.raises(WeightsMissingError, match="empty"):
            engine.embed(EmbedRequest("empty", "text", [WORD]))
        status = engine.list_statuses()["empty"]
        assert status.state == "missing"
        assert "model.safetensors" in str(status.reason)

    def test_a_model_that_does_not_load_says_why_and_is_tried_again(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        shutil.copytree(weights / "tiny", weights / "broken")
        config = yaml.safe_load((weights / "tiny" / "config.yaml").read_text())
        (weights / "broken" / "config.yaml").write_text(yaml.safe_dump({**config, "aliases": []}))
        good = (weights / "broken" / "model.safetensors").read_bytes()
        (weights / "broken" / "model.safetensors").write_bytes(good[:1000])
        engine = started(make_engine())
        with pytest.raises(ModelFailedError, match=r"broken.*safetensors"):
            engine.embed(EmbedRequest("broken", "text", [WORD]))
        assert engine.list_statuses()["broken"].state == "failed"
        assert engine.get_readiness().ready
        (weights / "broken" / "model.safetensors").write_bytes(good)
        assert engine.embed(EmbedRequest("broken", "text", [WORD])).embeddings.any()
        assert engine.list_statuses()["broken"].state == "loaded"

    @pytest.mark.parametrize(
        "bad", [clip(65), clip(5)[:, :600], np.zeros((3,), dtype=np.float32)], ids=["too long", "features", "flat"]
    )
    def test_a_clip_the_model_cannot_take_fails_alone(self, make_engine: Callable[..., LocalEngine], bad: np.ndarray):
        engine = make_engine()
        result = engine.embed(EmbedRequest("tiny", "pose", [clip(5), bad, clip(7, 1)]))
        assert isinstance(result.failures[1], ItemFailedError)
        assert set(result.failures) == {1}
        alone = engine.embed(EmbedRequest("tiny", "pose", [clip(7, 1)])).embeddings[0]
        np.testing.assert_allclose(result.embeddings[2], alone, atol=2e-5 * np.abs(alone).max())

    def test_a_text_seen_before_comes_from_the_cache_bit_by_bit(self, make_engine: Callable[..., LocalEngine]):
        engine = started(make_engine(text_cache_items=10))
        first = engine.embed(EmbedRequest("tiny", "text", [WORD]))
        again = engine.embed(EmbedRequest("tiny", "text", [WORD]))
        assert (first.cached, again.cached) == (0, 1)
        np.testing.assert_array_equal(first.embeddings, again.embeddings)
        [kept] = re.findall(r"^signclip_engine_text_cache_items (\S+)$", engine.export_metrics(), re.MULTILINE)
        assert 1 <= float(kept) <= 10

    def test_batches_wait_for_those_who_come_back_as_the_device_wants_it(self, make_engine: Callable[..., LocalEngine]):
        linger = started(make_engine())._batcher._linger
        assert linger._return_s == EngineSettings().choose_return_s("cpu") > 0

    def test_the_least_recently_used_model_is_let_go_and_comes_back(
        self, make_engine: Callable[..., LocalEngine], weights: Path
    ):
        shutil.copytree(weights / "tiny", weights / "other")
        config = yaml.safe_load((weights / "tiny" / "config.yaml").read_text())
        (weights / "other" / "config.yaml").write_text(yaml.safe_dump({**config, "aliases": []}))
        engine = started(make_engine(max_loaded=1))
        vectors = []
        for name in ("tiny", "other", "tiny"):
            vectors.append(engine.embed(EmbedRequest(name, "text", [WORD])).embeddings)
            assert [n for n, status in engine.list_statuses().items() if status.state == "loaded"] == [name]
        np.testing.assert_array_equal(vectors[0], vectors[2])

    def test_a_full_queue_refuses(self, make_engine: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch):
        engine = started(make_engine(max_queue_items=2))
        running, go_on = hold_forwards(monkeypatch)
        receivers = [Receiver(), Receiver()]
        engine.submit(EmbedRequest("tiny", "text", [WORD]), receivers[0])
        assert running.wait(TIMEOUT_S)
        engine.submit(EmbedRequest("tiny", "text", [WORD] * 2), receivers[1])
        with pytest.raises(QueueFullError):
            engine.embed(EmbedRequest("tiny", "text", [WORD]))
        go_on.set()
        for receiver in receivers:
            assert receiver.result().embeddings.any()


@pytest.fixture(scope="module")
def shared_engine(tiny_weights: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(
        EngineSettings(
            weights_dir=tiny_weights,
            default_model="tiny",
            device="cpu",
            backend="torch",
            threads=1,
            text_cache_items=0,
            batch_tokens=256,
        )
    )
    yield engine
    engine.close()


lengths = st.lists(st.integers(1, 29), min_size=1, max_size=12)


@settings(max_examples=25)
@given(mine=st.integers(1, 29), others=lengths, place=st.integers(0, 12), tower=st.sampled_from(["text", "pose"]))
def test_a_vector_does_not_depend_on_its_companions(
    shared_engine: LocalEngine, mine: int, others: list[int], place: int, tower: Any
):
    def item(length: int, seed: int) -> np.ndarray:
        generator = np.random.Generator(np.random.PCG64(seed))
        if tower == "pose":
            return generator.standard_normal((length, 609)).astype(np.float32)
        return np.array([2, *generator.integers(5, 90, length), 3], dtype=np.int32)

    items = [item(length, seed) for seed, length in enumerate(others, start=1)]
    place = min(place, len(items))
    items.insert(place, item(mine, 0))
    alone = shared_engine.embed(EmbedRequest("tiny", tower, [items[place]])).embeddings[0]
    together = shared_engine.embed(EmbedRequest("tiny", tower, items)).embeddings[place]
    assert np.abs(together - alone).max() <= 2e-5 * np.abs(alone).max()
