"""What the owner thread does with batches: order, isolation, repeated texts, and staying alive."""

import logging
from collections.abc import Callable

import numpy as np
import pytest

from engine.batcher import Batcher
from engine.budget import BatchBudget
from engine.delivery import wait_for
from engine.errors import EngineError, ItemFailedError
from engine.interface import EmbedRequest, EmbedResult
from models.catalog import Tower
from processes.errors import EngineStoppedError, ProcessError, QueueFullError
from tests.engine.fakes import (
    NAN,
    POISON,
    Array,
    FakeModel,
    FakeModels,
    Receiver,
    assert_right,
    block,
    clip,
    in_thread,
    refused_from_now_on,
    send,
    text,
    texts,
)


@pytest.mark.parametrize("tower", ["text", "pose"])
def test_results_come_in_the_order_of_the_request_whatever_the_batches(batcher: Batcher, tower: Tower):
    lengths = [9, 2, 30, 2, 17, 5, 28, 3, 3, 12, 25, 8]
    make: Callable[[int, int], Array] = (lambda i, n: clip(n, i)) if tower == "pose" else (lambda i, n: text(*[i] * n))
    result = assert_right(send(batcher, [make(i, n) for i, n in enumerate(lengths)], tower=tower))
    assert result.embeddings.dtype == np.float32
    assert result.forward_s >= 0
    assert 0 <= result.queue_s < 60


def test_an_idle_owner_runs_a_request_at_once_and_a_busy_one_takes_all_that_gathered(
    batcher: Batcher, models: FakeModels
):
    first = block(batcher, models)
    others = [send(batcher, [item]) for item in texts(10)]
    models.here["m"].gate.set()
    for receiver in (first, *others):
        assert_right(receiver)
    assert [len(items) for _, items in models.here["m"].batches] == [1, 10]


def test_a_request_of_nothing_is_answered_with_nothing(batcher: Batcher, models: FakeModels):
    assert send(batcher, []).result().embeddings.shape[0] == 0
    assert models.here["m"].batches == []


def test_an_item_that_fails_leaves_its_batch_mates_right(batcher: Batcher, models: FakeModels):
    first = block(batcher, models)
    good = [send(batcher, [item]) for item in texts(5)]
    bad = send(batcher, [text(5, 5), text(POISON, 1), text(6, 6)])
    models.here["m"].gate.set()
    for receiver in (first, *good):
        assert_right(receiver)
    result = assert_right(bad, failed=(1,))
    assert isinstance(result.failures[1], ItemFailedError)


def test_one_bad_item_of_many_costs_forwards_by_the_logarithm(make_batcher: Callable[..., Batcher], models: FakeModels):
    batcher = make_batcher(budget=10_000)
    items = texts(256)
    items[100] = text(POISON, 1, 1)
    assert_right(send(batcher, items), failed=(100,))
    assert len(models.here["m"].batches) == 1 + 2 * 8  # halves of 256 down to 1
    assert len(models.here["m"].ran) <= 3 * 256


def test_a_model_that_fails_on_everything_fails_each_item_and_not_the_engine(batcher: Batcher):
    assert_right(send(batcher, [text(POISON, index) for index in range(5)]), failed=(0, 1, 2, 3, 4))
    assert_right(send(batcher, [text(1, 2)]))


def test_a_vector_that_is_not_finite_fails_its_item_alone(batcher: Batcher):
    result = assert_right(send(batcher, [text(1, 2), text(NAN, 1), text(3, 4)]), failed=(1,))
    assert "NaN" in str(result.failures[1])


@pytest.mark.parametrize(
    "broken", [lambda v: v[:-1], lambda v: v[0], lambda v: np.vstack([v, v]), lambda v: None, lambda v: v.astype(str)]
)
def test_a_model_that_gives_something_other_than_vectors_fails_the_items(
    batcher: Batcher, models: FakeModels, monkeypatch: pytest.MonkeyPatch, broken: Callable
):
    model = models.here["m"]
    with monkeypatch.context() as patch:
        patch.setattr(model, "encode", lambda tower, items: broken(FakeModel.encode(model, tower, items)))
        result = send(batcher, texts(3)).result()
        assert set(result.failures) == {0, 1, 2}
    assert_right(send(batcher, texts(3)))


def test_a_receiver_that_raises_keeps_no_other_from_its_answer(
    batcher: Batcher, models: FakeModels, caplog: pytest.LogCaptureFixture
):
    def raising(answer: object) -> None:
        raise OSError("the client has gone")

    first = block(batcher, models)
    batcher.submit(EmbedRequest("m", "text", texts(1)), raising)
    other = send(batcher, texts(2))
    with caplog.at_level(logging.CRITICAL, logger="engine"):
        models.here["m"].gate.set()
        assert_right(first)
        assert_right(other)
    assert_right(send(batcher, [text(1, 2)]))
    assert batcher.alive


def test_whatever_else_fails_on_the_owner_thread_is_told_to_the_waiting_and_survived(
    batcher: Batcher, models: FakeModels, monkeypatch: pytest.MonkeyPatch
):
    def refuse(name: str, on_end: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(models, "start_loading", refuse)
        assert type(send(batcher, texts(1), model="absent").error()) is EngineError
    assert_right(send(batcher, texts(1)))
    later = send(batcher, texts(1), model="absent")
    models.finish_loading("absent")  # the failed attempt is not remembered as one under way
    assert_right(later)


def test_no_text_of_a_user_is_logged_when_its_forward_fails(batcher: Batcher, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        send(batcher, [text(POISON, 424242)]).result()
    assert caplog.records
    assert not any("424242" in str(vars(record)) for record in caplog.records)


def test_equal_texts_run_once_in_a_batch(batcher: Batcher, models: FakeModels):
    first = block(batcher, models)
    same = [send(batcher, [text(4, 4), text(5, 5), text(4, 4)]) for _ in range(4)]
    models.here["m"].gate.set()
    for receiver in (first, *same):
        assert_right(receiver)
    assert sorted(item[0] for item in models.here["m"].batches[1][1]) == [4, 5]


def test_equal_texts_fail_together(batcher: Batcher):
    assert_right(send(batcher, [text(POISON, 1), text(2, 2), text(POISON, 1)]), failed=(0, 2))


def test_equal_clips_each_run(batcher: Batcher, models: FakeModels):
    assert_right(send(batcher, [clip(4), clip(4)], tower="pose"))
    assert len(models.here["m"].ran) == 2


def test_a_full_queue_refuses_and_has_room_again_when_its_batch_is_taken(
    make_batcher: Callable[..., Batcher], models: FakeModels
):
    batcher = make_batcher(max_items=3)
    first = block(batcher, models)
    waiting = [send(batcher, [item]) for item in texts(3)]
    refused = Receiver(EmbedRequest("m", "text", texts(1)))
    with pytest.raises(QueueFullError) as refusal:
        batcher.submit(refused.request, refused)
    assert refusal.value.retry_after_s > 0
    assert batcher.waiting_items == 3
    models.here["m"].gate.set()
    for receiver in (first, *waiting):
        assert_right(receiver)
    assert batcher.waiting_items == 0
    assert_right(send(batcher, texts(3)))
    assert not refused.came


def test_the_budget_learns_from_what_ran_and_not_from_repeats_or_failures(
    batcher: Batcher, models: FakeModels, monkeypatch: pytest.MonkeyPatch
):
    learned: list[int] = []
    monkeypatch.setattr(
        BatchBudget, "observe", lambda self, group, *, tokens, seconds: learned.append(tokens), raising=True
    )
    first = block(batcher, models)
    same = [send(batcher, [text(4, 4, 4)]) for _ in range(9)]
    models.here["m"].gate.set()
    for receiver in (first, *same):
        assert_right(receiver)
    assert learned == [2, 3]
    assert_right(send(batcher, [clip(4), clip(4)], tower="pose"))
    assert learned == [2, 3, 12]
    assert_right(send(batcher, [text(POISON, 1), text(2, 2)]), failed=(0,))
    assert learned == [2, 3, 12]


class TestStop:
    def test_draining_answers_what_was_admitted_and_refuses_the_rest(self, batcher: Batcher, models: FakeModels):
        running = block(batcher, models)
        admitted = [send(batcher, [item], tower=tower) for tower in ("text", "pose") for item in (clip(3), clip(9))]
        stopping = in_thread(batcher.stop)
        refused_from_now_on(batcher)
        assert not running.came
        models.here["m"].gate.set()
        stopping()
        for receiver in (running, *admitted):
            assert_right(receiver)
        assert not batcher.alive

    def test_draining_waits_for_a_model_that_loads(self, batcher: Batcher, models: FakeModels):
        admitted = send(batcher, texts(1), model="slow")
        stopping = in_thread(batcher.stop)
        refused_from_now_on(batcher)
        models.finish_loading("slow")
        stopping()
        assert_right(admitted)

    def test_dropping_refuses_all_at_once_and_delivers_nothing_later(self, batcher: Batcher, models: FakeModels):
        receivers = [block(batcher, models), *(send(batcher, [item]) for item in texts(3))]
        stopping = in_thread(lambda: batcher.stop(drain=False))
        for receiver in receivers:  # the gate is still closed
            assert isinstance(receiver.error(), EngineStoppedError)
        models.here["m"].gate.set()
        stopping()
        assert all(len(receiver.answers) == 1 for receiver in receivers)
        assert len(models.here["m"].batches) == 1

    def test_twice_and_from_a_receiver(self, batcher: Batcher):
        stopped = Receiver(EmbedRequest("m", "text", texts(1)))

        def stop_and_receive(answer: EmbedResult | ProcessError) -> None:
            batcher.stop()
            stopped(answer)

        batcher.submit(stopped.request, stop_and_receive)
        assert_right(stopped)
        batcher.stop()
        batcher.stop(drain=False)
        refused_from_now_on(batcher)

    def test_wait_for_raises_what_was_delivered(self, batcher: Batcher, models: FakeModels):
        models.here["m"].close_gate()
        request = EmbedRequest("m", "text", texts(1))
        outcome = in_thread(lambda: wait_for(lambda deliver: batcher.submit(request, deliver), batcher.cancel, None))
        models.here["m"].wait_entered()
        stopping = in_thread(lambda: batcher.stop(drain=False))
        with pytest.raises(EngineStoppedError):
            outcome()
        models.here["m"].gate.set()
        stopping()
