"""Many clients at once, doing everything at random: whatever happens, nobody gets another's vector."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from engine.batcher import Batcher
from engine.errors import ItemFailedError, ModelFailedError
from engine.interface import EmbedRequest, EmbedResult
from processes.errors import DeadlineExceededError, QueueFullError
from tests.engine.fakes import NAN, POISON, TIMEOUT_S, Array, FakeModel, FakeModels, Receiver, text, vector_of

CLIENTS, REQUESTS = 6, 120
NAMES = ("m", "n", "o")


class RestlessModels(FakeModels):
    """Loads in another thread, fails one time in eight, and lets go of models at random."""

    def __init__(self, packs: bool) -> None:
        super().__init__(*NAMES)
        self.packs = packs
        for model in self.here.values():
            model.packs = packs
        self.random = random.Random(0)
        self.let_go = self.failed = 0

    def get_loaded(self, name: str) -> FakeModel | None:
        if self.random.random() < 0.05:
            self.let_go += self.here.pop(name, None) is not None
        return self.here.get(name)

    def start_loading(self, name: str, on_end: Callable[[ModelFailedError | None], None]) -> None:
        def load() -> None:
            fails = self.random.random() < 1 / 8
            self.failed += fails
            if not fails:
                model = FakeModel(name)
                model.packs = self.packs
                self.here[name] = model
            on_end(ModelFailedError(name) if fails else None)

        threading.Thread(target=load).start()


@dataclass
class Sent:
    receiver: Receiver
    cancelled: bool


def random_item(rng: random.Random, tower: str) -> Array:
    kind = rng.random()
    first = POISON if kind < 0.02 else NAN if kind < 0.04 else rng.randrange(50)
    length = rng.randrange(1, 30)
    if tower == "text":
        return text(first, *[rng.randrange(3)] * (length % 4))
    return np.concatenate([[[first, first]], np.full((length, 2), rng.randrange(1000))]).astype(np.float32)


def client(batcher: Batcher, seed: int, sent: list[Sent]) -> None:
    rng = random.Random(seed)
    for _ in range(REQUESTS):
        tower = rng.choice(["text", "pose"])
        count = rng.choice([1, 1, 2, 5, 20])
        deadline = rng.choice([None, None, time.monotonic() + rng.random() * 0.05, time.monotonic() - 1])
        request = EmbedRequest(rng.choice(NAMES), tower, [random_item(rng, tower) for _ in range(count)], deadline)
        receiver = Receiver(request)
        try:
            ticket = batcher.submit(request, receiver)
        except QueueFullError:
            assert not receiver.came
            continue
        cancelled = rng.random() < 0.2
        if cancelled:
            batcher.cancel(ticket)
        elif rng.random() < 0.5:
            receiver.wait()
        sent.append(Sent(receiver, cancelled))


def check(sent: Sent) -> str:
    """What became of a request; fails if that may not be."""
    receiver, request = sent.receiver, sent.receiver.request
    if sent.cancelled and not receiver.answers:
        return "cancelled"
    answer = receiver.wait()
    if isinstance(answer, DeadlineExceededError):
        assert request.deadline is not None
        return "expired"
    if isinstance(answer, ModelFailedError):
        assert str(answer) == request.model
        return "model failed"
    assert isinstance(answer, EmbedResult), answer
    for index, item in enumerate(request.items):
        if item.flat[0] in (POISON, NAN):
            assert isinstance(answer.failures[index], ItemFailedError)
            np.testing.assert_array_equal(answer.embeddings[index], 0)
        else:
            assert index not in answer.failures
            np.testing.assert_array_equal(answer.embeddings[index], vector_of(request.model, request.tower, item))
    return "answered"


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("cache", [0, 30])
def test_every_vector_belongs_to_its_item_and_every_request_is_answered_once(
    make_batcher: Callable[..., Batcher], monkeypatch: pytest.MonkeyPatch, cache: int, packs: bool
):
    models = RestlessModels(packs)
    batcher = make_batcher(cache=cache, budget=200, max_items=150)
    monkeypatch.setattr(batcher, "_models", models)
    sent: list[list[Sent]] = [[] for _ in range(CLIENTS)]
    clients = [
        threading.Thread(target=client, args=(batcher, seed, requests), name=f"client {seed}")
        for seed, requests in enumerate(sent)
    ]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
    batcher.stop()  # drains: whatever was admitted is decided now
    outcomes = [check(one) for requests in sent for one in requests]
    seen = {kind: outcomes.count(kind) for kind in set(outcomes)}
    assert set(seen) == {"answered", "expired", "cancelled", "model failed"}, seen
    assert seen["answered"] > 100
    assert models.let_go > 3
    assert models.failed > 0
    assert all(len(one.receiver.answers) <= 1 for requests in sent for one in requests)
    assert batcher.waiting_items == 0
