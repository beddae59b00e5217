"""A device without memory: the batch is split, what fits is answered, and the rest gets an error that says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from app.error_table import find_answer
from engine import messages
from engine.budget import BatchBudget
from engine.errors import DeviceMemoryError, ItemFailedError
from engine.interface import EmbedResult
from models.backends import memory
from tests.engine.fakes import FakeModel, assert_right, block, clip, send, texts


class SmallDevice(FakeModel):
    """Has memory for so many positions at once; `borrowed` batches find it used up by somebody else."""

    def __init__(self, name: str, most: int, *, borrowed: int = 0, error: Exception | None = None) -> None:
        super().__init__(name)
        self.most, self.borrowed = most, borrowed
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.sizes: list[int] = []

    def begin(self, tower, arrays, lengths):
        self.sizes.append(int(lengths.sum()))
        if self.borrowed or lengths.sum() > self.most:
            self.borrowed = max(0, self.borrowed - 1)
            raise self.error
        return super().begin(tower, arrays, lengths)


@pytest.fixture
def given_back(monkeypatch) -> list[bool]:
    calls: list[bool] = []
    monkeypatch.setattr("engine.forward.give_back", lambda: calls.append(True))
    return calls


@pytest.mark.parametrize("error", [None, MemoryError(), RuntimeError("std::bad_alloc")])
def test_a_batch_that_does_not_fit_is_split_until_it_does(batcher, models, given_back, error):
    receiver = block(batcher, models)
    sent = send(batcher, texts(8))  # 24 positions
    small = SmallDevice("m", most=6, error=error)
    models.here["m"], gate = small, models.here["m"].gate
    gate.set()
    assert_right(sent)
    receiver.result()
    assert small.sizes[0] == 24
    assert max(size for size in small.sizes if size <= 6) == 6
    assert given_back


def test_an_item_that_does_not_fit_alone_is_answered_for_itself(batcher, models, given_back):
    models.here["m"] = small = SmallDevice("m", most=6)
    sent = send(batcher, [clip(2), clip(50), clip(3)], tower="pose")
    result = assert_right(sent, failed=(1,))
    failure = result.failures[1]
    assert isinstance(failure, DeviceMemoryError)
    assert "50 frames" in str(failure)
    assert small.sizes.count(50) == 2  # once more, after the memory was given back
    assert find_answer(failure).status == 503


def test_an_item_that_fits_the_second_time_gets_its_vector(batcher, models, given_back):
    models.here["m"] = SmallDevice("m", most=100, borrowed=1)
    assert_right(send(batcher, texts(1)))
    assert given_back == [True]


def test_a_device_that_breaks_meanwhile_fails_the_items_and_does_not_hold_up_the_engine(batcher, models, monkeypatch):
    def give_back() -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr("engine.forward.give_back", give_back)
    models.here["m"] = SmallDevice("m", most=1)
    assert_right(send(batcher, texts(3)), failed=(0, 1, 2))
    assert batcher.failed_batches == 1
    assert batcher.running_s == 0
    models.here["m"] = SmallDevice("m", most=100)
    assert_right(send(batcher, texts(3)))


def test_later_batches_are_smaller_and_grow_again():
    budget = BatchBudget(target_s=0.25, first=512)
    group = ("m", "pose")
    budget.shrink(group, tokens=400)
    assert budget.get_tokens(group) == 200
    assert budget.get_tokens(("m", "text")) == 512
    for _ in range(35):
        budget.observe(group, tokens=200, seconds=0.01)
    assert 380 < budget.get_tokens(group) < 420
    for _ in range(20):
        budget.shrink(group, tokens=10**9)
    assert budget.get_tokens(group) == 1


def test_the_error_passes_the_socket_with_the_time_to_wait():
    result = EmbedResult(np.zeros((1, 4), np.float32), {0: DeviceMemoryError("too little", retry_after_s=5.0)})
    ((_, received),) = messages.unpack_results([memoryview(part) for part in messages.pack_results([(1, result)])])
    assert isinstance(received.failures[0], DeviceMemoryError)
    assert received.failures[0].retry_after_s == 5.0


def test_other_faults_of_an_item_are_not_taken_for_it():
    assert not memory.is_exhausted(RuntimeError("shape mismatch"))
    assert not memory.is_exhausted(ItemFailedError("x"))
    memory.give_back()  # without a GPU there is nothing to do
