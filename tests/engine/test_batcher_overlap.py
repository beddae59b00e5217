"""Models without padding: the next batch begins while one runs, and every promise of the others holds."""

from collections.abc import Callable

import numpy as np
import pytest

from engine.batcher import Batcher
from engine.budget import BatchBudget
from engine.cache import make_text_keys
from engine.errors import ItemFailedError
from engine.interface import EmbedRequest
from tests.engine.fakes import (
    DIM,
    NAN,
    POISON,
    FakeModel,
    FakeModels,
    Receiver,
    assert_right,
    block,
    clip,
    in_thread,
    send,
    text,
    texts,
    until,
)


@pytest.fixture
def models() -> FakeModels:
    models = FakeModels("m")
    models.here["m"].packs = True
    return models


def test_the_next_batch_begins_while_one_runs_and_a_third_waits(batcher: Batcher, models: FakeModels) -> None:
    model, first = models.here["m"], block(batcher, models)
    second = send(batcher, texts(1))
    until(lambda: len(model.begun) == 2)
    third, fourth = send(batcher, texts(1, first=2000)), send(batcher, texts(1, first=3000))
    assert batcher.waiting_items == 2
    assert not first.came
    model.gate.set()
    for receiver in (first, second, third, fourth):
        assert_right(receiver)
    assert model.begun == [1, 1, 2]


def test_batches_are_answered_in_the_order_they_began(batcher: Batcher, models: FakeModels) -> None:
    came: list[int] = []
    models.here["m"].close_gate()
    receivers = []
    for number in range(2):
        receiver = Receiver(EmbedRequest("m", "text", texts(1, first=100 * number + 50)))
        receivers.append(receiver)
        batcher.submit(receiver.request, lambda answer, n=number, r=receiver: (came.append(n), r(answer)))
        until(lambda n=number: len(models.here["m"].begun) == n + 1)
    models.here["m"].gate.set()
    for receiver in receivers:
        assert_right(receiver)
    assert came == [0, 1]


def test_items_of_any_length_share_a_batch(batcher: Batcher, models: FakeModels) -> None:
    first = block(batcher, models)
    until(lambda: len(models.here["m"].begun) == 1)
    send(batcher, [text(5, 5)])
    until(lambda: len(models.here["m"].begun) == 2)
    mixed = send(batcher, [clip(30), clip(2), clip(11)], tower="pose")
    models.here["m"].gate.set()
    assert_right(first)
    assert_right(mixed)
    assert models.here["m"].begun == [1, 1, 3]


def test_a_batch_that_fails_while_another_is_begun_fails_its_bad_item_alone(
    batcher: Batcher, models: FakeModels
) -> None:
    first = block(batcher, models)
    bad = send(batcher, [text(5, 5), text(POISON, 1), text(NAN, 1), text(6, 6)])
    until(lambda: len(models.here["m"].begun) == 2)
    good = send(batcher, texts(3))
    models.here["m"].gate.set()
    assert_right(first)
    result = assert_right(bad, failed=(1, 2))
    assert all(isinstance(error, ItemFailedError) for error in result.failures.values())
    assert_right(good)
    assert batcher.alive


def test_a_batch_that_cannot_begin_fails_its_bad_item_alone(
    batcher: Batcher, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, begin = models.here["m"], FakeModel.begin

    def refuse(tower, arrays, lengths):  # type: ignore[no-untyped-def]
        if max(lengths) > 5:
            raise ValueError("too long")
        return begin(model, tower, arrays, lengths)

    monkeypatch.setattr(model, "begin", refuse)
    assert_right(send(batcher, [text(1, 1), text(*[2] * 6), text(3, 3)]), failed=(1,))
    assert_right(send(batcher, texts(3)))


def test_a_ticket_over_several_batches_is_answered_when_the_last_one_ends(
    make_batcher: Callable[..., Batcher], models: FakeModels
) -> None:
    batcher = make_batcher(budget=6)  # two texts a batch
    assert_right(send(batcher, texts(9)))
    assert models.here["m"].begun == [2, 2, 2, 2, 1]


def test_a_cancelled_ticket_of_a_batch_that_lies_ready_delivers_nothing(batcher: Batcher, models: FakeModels) -> None:
    first = block(batcher, models)
    gone = Receiver(EmbedRequest("m", "text", texts(2)))
    ticket = batcher.submit(gone.request, gone)
    until(lambda: len(models.here["m"].begun) == 2)
    batcher.cancel(ticket)
    models.here["m"].gate.set()
    assert_right(first)
    assert_right(send(batcher, texts(1)))
    assert not gone.came


def test_vectors_of_two_checkpoints_never_stand_in_one_answer(
    make_batcher: Callable[..., Batcher], models: FakeModels
) -> None:
    """The model is replaced while its first batch runs and its second one lies ready."""
    batcher = make_batcher(budget=6)
    old, new = models.here["m"], FakeModel("m", digest="new")
    new.packs = True
    old.close_gate()
    receiver = send(batcher, texts(7))
    until(lambda: len(old.begun) == 2)
    models.here["m"] = new
    old.gate.set()
    assert assert_right(receiver).digest == "new"
    assert len(new.ran) == 7


def test_texts_of_the_cache_run_again_when_the_weights_have_changed(
    make_batcher: Callable[..., Batcher], models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner sleeps then, because its queue was empty when the last batch ended."""
    batcher = make_batcher(cache=10)
    sleeps = batcher._condition._waiters  # type: ignore[attr-defined]
    monkeypatch.setattr("engine.batcher.keep_texts", lambda *_: until(lambda: bool(sleeps)))
    batcher._cache.put("m", "digest", make_text_keys(texts(2), np.array([3, 3])), np.ones((2, DIM), np.float32))
    old, new = models.here["m"], FakeModel("m", digest="new")
    new.packs = True
    first = block(batcher, models)
    second = send(batcher, [text(5, 5)])
    until(lambda: len(old.begun) == 2)
    partly_known = send(batcher, texts(3))
    models.here["m"] = new
    old.gate.set()
    result = assert_right(partly_known)
    assert (result.digest, result.cached) == ("new", 0)
    assert_right(first)
    assert_right(second)
    assert new.begun == [1, 2]


def test_draining_answers_what_runs_and_what_lies_ready(batcher: Batcher, models: FakeModels) -> None:
    receivers = [block(batcher, models)]
    receivers += [send(batcher, texts(1, first=first)) for first in (2000, 3000, 4000)]
    stopping = in_thread(batcher.stop)
    models.here["m"].gate.set()
    stopping()
    for receiver in receivers:
        assert_right(receiver)
    assert not batcher.alive


def test_the_budget_learns_positions_without_padding_and_the_device_time_of_each_batch(
    batcher: Batcher, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[int] = []
    monkeypatch.setattr(BatchBudget, "observe", lambda self, group, *, tokens, seconds: learned.append(tokens))
    assert_right(send(batcher, [clip(4), clip(10)], tower="pose"))
    assert learned == [4 + 10 + 2 * 2]
    np.testing.assert_equal(batcher.running_s, 0.0)
