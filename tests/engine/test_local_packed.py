"""An engine on the forward without padding, as on a GPU: vectors are the padded ones, whoever shares a batch."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.interface import EmbedRequest
from engine.local import LocalEngine
from engine.settings import EngineSettings
from models.backends.packed import PackedBackend, RunningBatch
from models.backends.pytorch import TorchBackend
from models.catalog import ModelConfig
from models.embedding import EmbeddingModel
from tests.engine.engines import clip, started
from tests.engine.fakes import Receiver


@pytest.fixture
def engine(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    # A CPU is done when a batch has begun; on a GPU the answering thread waits for it.
    monkeypatch.setattr(RunningBatch, "is_done", False)

    def make_backend(path: Path, config: ModelConfig) -> PackedBackend:
        return PackedBackend(TorchBackend(path, config, device="cpu", dtype="float32"))

    settings = EngineSettings(
        weights_dir=tiny_weights, default_model="tiny", device="cpu", text_cache_items=0, batch_tokens=200
    )
    engine = LocalEngine(settings, make_backend=make_backend)
    yield started(engine)
    engine.close()


def test_many_requests_of_any_lengths_get_the_padded_forwards_vectors(
    engine: LocalEngine, tiny_model: EmbeddingModel
) -> None:
    assert engine.get_readiness().ready
    generator = np.random.default_rng(0)
    requests = []
    for number in range(40):
        lengths = generator.integers(1, 29, generator.integers(1, 12))
        if number % 2:
            clips = [clip(int(length), seed=number * 100 + place) for place, length in enumerate(lengths)]
            requests.append(EmbedRequest("tiny", "pose", clips))
        else:
            texts = [np.array([2, *generator.integers(5, 90, length), 3], dtype=np.int32) for length in lengths]
            flat = EmbedRequest("tiny", "text", [np.concatenate(texts)], lengths=np.array([len(t) for t in texts]))
            requests.append(flat if number % 4 else EmbedRequest("tiny", "text", texts))
    receivers = [Receiver(request) for request in requests]
    threads = [
        threading.Thread(target=lambda part=part: [engine.submit(r.request, r) for r in receivers[part::4]])
        for part in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for receiver in receivers:
        request, result = receiver.request, receiver.result()
        assert not result.failures
        ends = np.cumsum(request.lengths)[:-1] if request.lengths is not None else None
        items = request.items if ends is None else np.split(request.items[0], ends)
        for item, vector in zip(items, result.embeddings, strict=True):
            expected = tiny_model.encode(request.tower, [item])[0]
            assert np.abs(vector - expected).max() <= 2e-5 * np.abs(expected).max()


def test_a_clip_the_model_cannot_take_fails_alone(engine: LocalEngine, tiny_model: EmbeddingModel) -> None:
    result = engine.embed(EmbedRequest("tiny", "pose", [clip(5), clip(65), clip(5)[:, :600], clip(7, 1)]))
    assert set(result.failures) == {1, 2}
    expected = tiny_model.encode("pose", [clip(7, 1)])[0]
    np.testing.assert_allclose(result.embeddings[3], expected, atol=2e-5 * np.abs(expected).max())
