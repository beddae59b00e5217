"""Stand-ins for models: their vectors name the item they were made from, and tests say when they load, run and fail."""

import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.batcher import Batcher
from engine.errors import ModelFailedError
from engine.interface import EmbedRequest, EmbedResult
from models.backends import Pending
from models.batching import cut_into_items
from models.catalog import Tower
from processes.errors import EngineStoppedError, ProcessError

TIMEOUT_S = 20.0
DIM = 6
# An item that starts with one of these does what it is called.
POISON, NAN = -1, -2

Array = npt.NDArray[Any]


def until(happened: Callable[[], bool], patience_s: float = 60.0) -> None:
    """Ask until it is so: what another process or a socket's far end does has no event to wait for."""
    give_up = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < give_up, "it never happened"
        threading.Event().wait(0.005)


def text(*ids: int) -> Array:
    return np.array(ids, dtype=np.int32)


def texts(count: int, *, first: int = 1000, length: int = 3) -> list[Array]:
    """Different texts of one length."""
    return [text(*[first + index] * length) for index in range(count)]


def clip(frames: int, value: float = 1.0) -> Array:
    return np.full((frames, 2), value, dtype=np.float32)


def vector_of(model: str, tower: str, item: Array) -> npt.NDArray[np.float32]:
    """What FakeModel gives for an item: unlike that of any other item, tower or model."""
    seed = zlib.crc32(f"{model} {tower} {item.shape} ".encode() + item.tobytes())
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(DIM).astype(np.float32)


@dataclass(frozen=True)
class Done:
    """A batch that is computed already."""

    vectors: npt.NDArray[np.float32]
    is_done: bool = True

    def wait(self) -> npt.NDArray[np.float32]:
        return self.vectors


@dataclass(frozen=True)
class Later:
    """A batch that is computed when somebody waits for it."""

    model: "FakeModel"
    tower: Tower
    items: Sequence[Array]
    is_done: bool = False

    def wait(self) -> npt.NDArray[np.float32]:
        return self.model.encode(self.tower, self.items)


class FakeModel:
    """Remembers its batches; waits at `gate` while that is closed.

    With `packs` a batch begins at once, and passes the gate when somebody waits for it.
    """

    def __init__(self, name: str, digest: str = "digest") -> None:
        self.name = name
        self.digest = digest
        self.dtype = "float32"
        self.batches: list[tuple[Tower, list[Array]]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.packs = False
        self.begun: list[int] = []

    def begin(self, tower: Tower, arrays: Sequence[Array], lengths: npt.NDArray[np.int64]) -> Pending:
        items = cut_into_items(arrays, lengths)
        self.begun.append(len(items))
        return Later(self, tower, items) if self.packs else Done(self.encode(tower, items))

    def encode(self, tower: Tower, items: Sequence[Array]) -> npt.NDArray[np.float32]:
        self.batches.append((tower, list(items)))
        self.entered.release()
        if not self.gate.wait(TIMEOUT_S):
            raise TimeoutError("the test left the gate closed")
        if any(item.flat[0] == POISON for item in items):
            raise RuntimeError("poison")
        return np.stack(
            [
                np.full(DIM, np.nan, dtype=np.float32) if item.flat[0] == NAN else vector_of(self.name, tower, item)
                for item in items
            ]
        )

    def close_gate(self) -> None:
        self.gate.clear()
        while self.entered.acquire(blocking=False):
            pass

    def wait_entered(self) -> None:
        assert self.entered.acquire(timeout=TIMEOUT_S), "no forward pass began"

    @property
    def ran(self) -> list[Array]:
        return [item for _, items in self.batches for item in items]


class FakeModels:
    """Models by name; those in `absent` load when the test says so."""

    def __init__(self, *names: str) -> None:
        self.here = {name: FakeModel(name) for name in names}
        self.requested: deque[tuple[str, Callable[[ModelFailedError | None], None]]] = deque()
        self._asked = threading.Semaphore(0)

    def get_loaded(self, name: str) -> FakeModel | None:
        return self.here.get(name)

    def start_loading(self, name: str, on_end: Callable[[ModelFailedError | None], None]) -> None:
        self.requested.append((name, on_end))
        self._asked.release()

    def next_loading(self) -> tuple[str, Callable[[ModelFailedError | None], None]]:
        assert self._asked.acquire(timeout=TIMEOUT_S), "no model was asked for"
        return self.requested.popleft()

    def finish_loading(self, name: str) -> None:
        """Answer the oldest request for a model, which must be for this one."""
        wanted, on_end = self.next_loading()
        assert wanted == name
        self.here[name] = FakeModel(name)
        on_end(None)


_NOTHING = EmbedRequest("", "text", ())


class Receiver:
    """The other end of `deliver`: what came, how often, and in which thread."""

    def __init__(self, request: EmbedRequest = _NOTHING) -> None:
        self.request = request
        self.answers: list[EmbedResult | ProcessError] = []
        self._came = threading.Event()

    def __call__(self, answer: EmbedResult | ProcessError) -> None:
        self.answers.append(answer)
        self._came.set()

    @property
    def came(self) -> bool:
        return self._came.is_set()

    def wait(self) -> EmbedResult | ProcessError:
        assert self._came.wait(TIMEOUT_S), "nothing was delivered"
        assert len(self.answers) == 1
        return self.answers[0]

    def result(self) -> EmbedResult:
        answer = self.wait()
        assert isinstance(answer, EmbedResult), answer
        return answer

    def error(self) -> ProcessError:
        answer = self.wait()
        assert isinstance(answer, ProcessError), answer
        return answer


class Clock:
    """A time.monotonic that stands still until told."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def send(batcher: Batcher, items: list[Array], *, tower: Tower = "text", model: str = "m") -> Receiver:
    receiver = Receiver(EmbedRequest(model, tower, items))
    batcher.submit(receiver.request, receiver)
    return receiver


def block(batcher: Batcher, models: FakeModels) -> Receiver:
    """Occupy the owner thread with a batch of one until the gate opens."""
    models.here["m"].close_gate()
    receiver = send(batcher, [text(7, 7)])
    models.here["m"].wait_entered()
    return receiver


def assert_right(receiver: Receiver, *, failed: tuple[int, ...] = ()) -> EmbedResult:
    """Every vector is its own item's, but for those that failed."""
    request, result = receiver.request, receiver.result()
    assert set(result.failures) == set(failed)
    for index, item in enumerate(request.items):
        expected = 0 if index in failed else vector_of(request.model, request.tower, item)
        np.testing.assert_array_equal(result.embeddings[index], np.broadcast_to(expected, result.embeddings.shape[1]))
    return result


def in_thread(function: Callable[[], object]) -> Callable[[], object]:
    """Start a function in a thread; the result waits for its end and gives what it gave or raised."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(function)
    pool.shutdown(wait=False)
    return lambda: future.result(timeout=TIMEOUT_S)


def refused_from_now_on(batcher: Batcher) -> None:
    """Wait, by asking, until a stop that runs in another thread has shut the door."""
    give_up = time.monotonic() + TIMEOUT_S
    cancelled = Receiver()
    while time.monotonic() < give_up:
        try:
            ticket = batcher.submit(EmbedRequest("m", "text", [text(9, 9, 9)]), cancelled)
        except EngineStoppedError:
            return
        batcher.cancel(ticket)
        threading.Event().wait(0.002)
    raise AssertionError("requests are still admitted")
