"""Requests that end early, and models that come late or change."""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from engine.batcher import Batcher
from engine.delivery import wait_for
from engine.errors import ModelFailedError
from engine.interface import EmbedRequest, EmbedResult
from engine.metrics import EngineMetrics
from engine.queue import Ticket
from models.catalog import Tower
from processes.errors import DeadlineExceededError
from tests.engine.fakes import (
    Array,
    Clock,
    FakeModel,
    FakeModels,
    Receiver,
    assert_right,
    block,
    in_thread,
    send,
    text,
    texts,
    vector_of,
)
from tests.engine.test_engine_metrics import read


def send_until(batcher: Batcher, deadline: float, *, model: str = "m") -> Receiver:
    receiver = Receiver(EmbedRequest(model, "text", [text(1, 2, 3), text(4, 5, 6)], deadline=deadline))
    batcher.submit(receiver.request, receiver)
    return receiver


class TestDeadlines:
    def test_an_expired_request_never_reaches_a_forward(self, batcher: Batcher, models: FakeModels, clock: Clock):
        first = block(batcher, models)
        late, patient = send_until(batcher, clock.now + 1.0), send(batcher, [text(8, 8)])
        clock.advance(1.0)
        models.here["m"].gate.set()
        assert isinstance(late.error(), DeadlineExceededError)
        assert_right(first)
        assert_right(patient)
        assert [item[0] for item in models.here["m"].ran] == [7, 8]
        assert batcher.waiting_items == 0

    def test_a_request_runs_until_the_very_moment_of_its_deadline(
        self, batcher: Batcher, models: FakeModels, clock: Clock
    ):
        block(batcher, models)
        just = send_until(batcher, clock.now + 1.0)
        clock.advance(0.999)
        models.here["m"].gate.set()
        assert_right(just)

    def test_a_deadline_that_passed_before_the_request_came(self, batcher: Batcher, models: FakeModels, clock: Clock):
        late = send_until(batcher, clock.now - 1.0)
        assert isinstance(late.error(), DeadlineExceededError)
        assert models.here["m"].batches == []

    def test_it_passes_also_while_the_model_loads(self, batcher: Batcher, models: FakeModels, clock: Clock):
        late = send_until(batcher, clock.now + 1.0, model="slow")
        patient = send(batcher, [text(8, 8)], model="slow")
        clock.advance(2.0)
        assert isinstance(late.error(), DeadlineExceededError)
        models.finish_loading("slow")
        assert_right(patient)
        assert [item[0] for item in models.here["slow"].ran] == [8]

    def test_whoever_waits_is_told_at_the_deadline_and_the_late_answer_reaches_nobody(
        self, batcher: Batcher, models: FakeModels
    ):
        models.here["m"].close_gate()
        late = EmbedRequest("m", "text", [text(1, 2)], deadline=time.monotonic() + 0.05)
        tickets: list[Ticket] = []

        def cancel(_: object) -> None:
            batcher.cancel(tickets[0])

        with pytest.raises(DeadlineExceededError):  # while its forward runs
            wait_for(lambda deliver: tickets.append(batcher.submit(late, deliver)), cancel, late.deadline)
        assert [ticket.over for ticket in tickets] == [True]
        models.here["m"].gate.set()
        for item in texts(5):
            request = EmbedRequest("m", "text", [item])
            receiver = Receiver(request)
            receiver(wait_for(lambda deliver, request=request: batcher.submit(request, deliver), batcher.cancel, None))
            assert_right(receiver)


def test_a_request_tells_and_the_counters_count_how_long_it_waited_for_its_batch(
    make_batcher: Callable[..., Batcher], models: FakeModels, clock: Clock
):
    metrics = EngineMetrics()
    batcher = make_batcher(metrics=metrics)
    clock.advance(100.0)
    first = block(batcher, models)
    second = send(batcher, [text(8, 8)])
    clock.advance(2.0)
    models.here["m"].gate.set()
    assert assert_right(first).queue_s == 0.0
    assert assert_right(second).queue_s == 2.0
    counted = read(metrics)
    assert counted["signclip_engine_queue_wait_seconds_sum"] == 2.0
    assert counted["signclip_engine_batch_items_sum m text"] == 2
    assert counted["signclip_engine_batch_tokens_sum m text"] == 4


class TestCancelling:
    def test_a_waiting_request_costs_no_forward(self, batcher: Batcher, models: FakeModels):
        first = block(batcher, models)
        gone = Receiver(EmbedRequest("m", "text", texts(5)))
        ticket = batcher.submit(gone.request, gone)
        kept = send(batcher, [text(8, 8)])
        batcher.cancel(ticket)
        batcher.cancel(ticket)
        assert batcher.waiting_items == 1
        models.here["m"].gate.set()
        assert_right(first)
        assert_right(kept)
        assert [item[0] for item in models.here["m"].ran] == [7, 8]
        assert not gone.came

    def test_a_running_request_delivers_nothing_and_runs_no_further_batch(
        self, make_batcher: Callable[..., Batcher], models: FakeModels
    ):
        batcher = make_batcher(budget=6)
        models.here["m"].close_gate()
        gone = Receiver(EmbedRequest("m", "text", texts(4)))  # two batches
        ticket = batcher.submit(gone.request, gone)
        models.here["m"].wait_entered()
        batcher.cancel(ticket)
        kept = send(batcher, [text(8, 8)])
        models.here["m"].gate.set()
        assert_right(kept)
        assert len(models.here["m"].ran) == 3
        assert not gone.came

    def test_an_answered_request_stays_answered(self, batcher: Batcher):
        receiver = Receiver(EmbedRequest("m", "text", texts(1)))
        ticket = batcher.submit(receiver.request, receiver)
        assert_right(receiver)
        batcher.cancel(ticket)
        assert_right(send(batcher, texts(2)))


class TestLoading:
    def test_requests_of_other_models_do_not_wait(self, batcher: Batcher, models: FakeModels):
        slow = send(batcher, texts(2), model="slow")
        for _ in range(3):
            assert_right(send(batcher, texts(2)))
        assert not slow.came
        models.finish_loading("slow")
        assert_right(slow)

    def test_a_model_is_asked_for_once_however_many_wait(self, batcher: Batcher, models: FakeModels):
        waiting = [send(batcher, [item], model="slow") for item in texts(5)]
        name, on_end = models.next_loading()
        assert_right(send(batcher, texts(1)))
        assert not models.requested
        models.here[name] = FakeModel(name)
        on_end(None)
        for receiver in waiting:
            assert_right(receiver)

    def test_a_failure_reaches_the_requests_of_that_model_alone_and_the_next_one_tries_again(
        self, batcher: Batcher, models: FakeModels
    ):
        broken = [send(batcher, [item], model="broken") for item in texts(3)]
        slow = send(batcher, texts(1), model="slow")
        for _ in range(2):
            name, on_end = models.next_loading()
            if name == "broken":
                on_end(ModelFailedError("broken is broken"))
            else:
                loaded = on_end
        for receiver in broken:
            assert "broken is broken" in str(receiver.error())
        assert not slow.came
        again = send(batcher, texts(1), model="broken")
        models.finish_loading("broken")
        assert_right(again)
        models.here["slow"] = FakeModel("slow")
        loaded(None)
        assert_right(slow)

    def test_a_model_let_go_before_its_turn_is_loaded_again_off_the_owner_thread(
        self, batcher: Batcher, models: FakeModels
    ):
        first = block(batcher, models)
        waiting = send(batcher, texts(2))
        held = models.here.pop("m")
        held.gate.set()
        assert_right(first)  # the running batch kept its model
        models.finish_loading("m")
        assert_right(waiting)
        assert len(held.batches) == 1

    @pytest.mark.parametrize("cached", [True, False])
    def test_vectors_of_two_checkpoints_never_stand_in_one_answer(
        self, make_batcher: Callable[..., Batcher], models: FakeModels, cached: bool
    ):
        batcher = make_batcher(cache=10, budget=6, max_items=5)  # two texts a batch
        if cached:
            assert_right(send(batcher, texts(2)))
        old, new = models.here["m"], FakeModel("other", digest="new")
        embedded, encode = len(old.batches), old.encode

        def encode_and_go(tower: Tower, items: Sequence[Array]) -> Array:
            if len(old.batches) == embedded:
                models.here["m"] = new
            return encode(tower, items)

        old.encode = encode_and_go  # type: ignore[method-assign]
        result = send(batcher, texts(5)).result()
        assert (result.digest, result.cached) == ("new", 0)
        for item, vector in zip(texts(5), result.embeddings, strict=True):
            np.testing.assert_array_equal(vector, vector_of("other", "text", item))
        assert len(old.ran) == (4 if cached else 2)
        assert len(new.ran) == 5
        assert batcher.waiting_items == batcher.waiting_tokens == 0

    def test_an_item_that_failed_with_other_weights_fails_no_more_if_the_new_ones_embed_it(
        self, make_batcher: Callable[..., Batcher], models: FakeModels
    ):
        batcher = make_batcher(budget=6)  # two texts a batch
        old, new = models.here["m"], FakeModel("other", digest="new")

        def fail_and_go(tower: Tower, items: Sequence[Array]) -> Array:
            models.here["m"] = new
            raise RuntimeError("these weights give nothing")

        old.encode = fail_and_go  # type: ignore[method-assign]
        result = send(batcher, texts(5)).result()
        assert (result.digest, dict(result.failures)) == ("new", {})
        for item, vector in zip(texts(5), result.embeddings, strict=True):
            np.testing.assert_array_equal(vector, vector_of("other", "text", item))
        assert len(new.ran) == 5

    def test_a_model_let_go_while_it_runs_still_answers(self, batcher: Batcher, models: FakeModels):
        first = block(batcher, models)
        held = models.here.pop("m")
        held.gate.set()
        assert_right(first)

    def test_an_expired_request_of_a_model_that_then_fails_is_told_once(
        self, batcher: Batcher, models: FakeModels, clock: Clock
    ):
        late = send_until(batcher, clock.now + 1.0, model="broken")
        _, on_end = models.next_loading()
        clock.advance(2.0)
        assert isinstance(late.error(), DeadlineExceededError)
        on_end(ModelFailedError("broken is broken"))
        assert_right(send(batcher, texts(1)))
        assert len(late.answers) == 1


def test_wait_for_gives_the_answer_to_its_own_caller(batcher: Batcher, models: FakeModels):
    """Many callers at once, answered out of order."""
    requests = [EmbedRequest("m", "text", [item]) for item in texts(8)]
    ready = threading.Barrier(len(requests), timeout=20)

    def call(request: EmbedRequest) -> EmbedResult:
        ready.wait()
        return wait_for(lambda deliver: batcher.submit(request, deliver), batcher.cancel, None)

    outcomes = [in_thread(lambda request=request: call(request)) for request in requests]
    for request, outcome in zip(requests, outcomes, strict=True):
        receiver = Receiver(request)
        receiver(outcome())
        assert_right(receiver)
