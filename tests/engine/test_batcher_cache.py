"""Texts that were embedded before: what of them is taken from the cache, and what is not."""

from collections.abc import Callable

import pytest

from engine.batcher import Batcher
from processes.errors import EngineStoppedError
from tests.engine.fakes import (
    POISON,
    FakeModel,
    FakeModels,
    assert_right,
    block,
    clip,
    send,
    text,
    texts,
)


@pytest.fixture
def batcher(make_batcher: Callable[..., Batcher]) -> Batcher:
    return make_batcher(cache=100)


def test_a_known_text_skips_the_queue(batcher: Batcher, models: FakeModels):
    assert assert_right(send(batcher, texts(3))).cached == 0
    first = block(batcher, models)
    known = send(batcher, texts(3))
    assert known.came  # in the submitting thread, while the owner is busy
    assert assert_right(known).cached == 3
    models.here["m"].gate.set()
    assert_right(first)
    assert len(models.here["m"].ran) == 4


def test_of_a_request_partly_known_only_the_rest_runs(batcher: Batcher, models: FakeModels):
    assert_right(send(batcher, texts(3)))
    mixed = [text(1, 1), *texts(3), text(2, 2)]
    assert assert_right(send(batcher, mixed)).cached == 3
    assert [item[0] for item in models.here["m"].batches[-1][1]] == [1, 2]


def test_a_model_loaded_anew_from_another_checkpoint_starts_afresh(batcher: Batcher, models: FakeModels):
    assert_right(send(batcher, texts(1)))
    models.here["m"] = FakeModel("m", digest="another")
    assert assert_right(send(batcher, texts(1))).cached == 0


def test_a_vector_is_kept_under_the_checkpoint_that_made_it(batcher: Batcher, models: FakeModels):
    first = block(batcher, models)
    old = models.here["m"]
    models.here["m"] = FakeModel("m", digest="another")  # replaced while the old one runs
    old.gate.set()
    assert_right(first)
    assert assert_right(send(batcher, first.request.items)).cached == 0


def test_models_do_not_share_vectors(batcher: Batcher, models: FakeModels):
    models.here["n"] = FakeModel("n")
    assert_right(send(batcher, texts(2)))
    assert assert_right(send(batcher, texts(2), model="n")).cached == 0


def test_clips_and_failures_are_not_kept(batcher: Batcher):
    for _ in range(2):
        assert assert_right(send(batcher, [clip(4)], tower="pose")).cached == 0
        assert assert_right(send(batcher, [text(POISON, 1)]), failed=(0,)).cached == 0


def test_an_answer_is_the_receivers_own(batcher: Batcher):
    assert_right(send(batcher, texts(1)))
    send(batcher, texts(1)).result().embeddings[:] = 0
    assert_right(send(batcher, texts(1)))


def test_a_known_text_is_refused_too_when_the_engine_drains(batcher: Batcher):
    assert_right(send(batcher, texts(1)))
    batcher.stop()
    with pytest.raises(EngineStoppedError):
        send(batcher, texts(1))
