"""One thread owns the models: it takes what gathered while the last batch ran, and nothing a request does stops it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import (
    DeadlineExceededError,
    EngineError,
    EngineStoppedError,
    ItemFailedError,
    ModelFailedError,
)
from engine.interface import EmbedRequest, EmbedResult, Tower
from engine.queue import Item, Ticket, WaitingItems

log = logging.getLogger(__name__)
Vectors = npt.NDArray[np.float32]
Deliver = Callable[[EmbedResult | EngineError], None]
# How often the owner looks for requests whose deadline passed while their model loads, in seconds.
_SWEEP_S = 0.25


class Models(Protocol):
    """Where the batcher finds its models; none of these may block."""

    def ready(self, name: str) -> bool:
        """Whether `encode` would run at once."""
        ...

    def request(self, name: str, on_change: Callable[[ModelFailedError | None], None]) -> None:
        """Start loading a model that is not ready; on_change is called once, from any thread."""
        ...

    def encode(self, name: str, tower: Tower, items: Sequence[npt.NDArray[Any]]) -> Vectors: ...

    def cached(self, name: str, array: npt.NDArray[Any]) -> Vectors | None:
        """The vector of a text's token ids, if known."""
        ...

    def remember(self, name: str, array: npt.NDArray[Any], vector: Vectors) -> None: ...


class Batcher:
    """Queue, owner thread and the way back to whoever asked.

    Args:
        budget: padded positions in one forward pass.
        max_items, max_tokens: what may wait; see engine.queue.
    """

    def __init__(self, models: Models, *, budget: int, max_items: int, max_tokens: int) -> None:
        self._models = models
        self.budget = budget
        self._waiting = WaitingItems(max_items=max_items, max_tokens=max_tokens)
        self._condition = threading.Condition()
        self._draining = False
        self._loading: set[str] = set()
        self._open: set[Ticket] = set()
        self._thread = threading.Thread(target=self._own, name="engine-owner", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def waiting_items(self) -> int:
        return self._waiting.items

    def submit(self, request: EmbedRequest, deliver: Deliver) -> Ticket:
        """Admit a request and return at once; `deliver` is called exactly once, unless the ticket is cancelled.

        Raises:
            QueueFullError: it does not fit.
            EngineStoppedError: the engine is draining.
        """
        ticket = Ticket(request, deliver, admitted=time.monotonic())
        pending = list(range(len(request.items)))
        if request.tower == "text":
            for index in pending[:]:
                vector = self._models.cached(request.model, request.items[index])
                if vector is not None:
                    ticket.embeddings[index] = vector
                    ticket.cached += 1
                    pending.remove(index)
        with self._condition:
            if self._draining or not self.alive:
                raise EngineStoppedError("the engine is shutting down")
            if pending:
                self._waiting.admit(ticket, pending)
                self._open.add(ticket)
                self._condition.notify()
        if not pending:
            ticket.over = True
            deliver(ticket.result())
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Forget a request whose asker is gone; what already runs is not delivered."""
        with self._condition:
            if not ticket.over:
                self._close(ticket)

    def stop(self, *, drain: bool = True) -> None:
        """Refuse what comes, answer what was admitted (or refuse that too), end the thread. May be called twice."""
        with self._condition:
            self._draining = True
            dropped = [] if drain else list(self._open)
            for ticket in dropped:
                self._close(ticket)
            self._condition.notify()
        for ticket in dropped:
            ticket.deliver(EngineStoppedError("the engine is shutting down"))
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _close(self, ticket: Ticket) -> None:
        ticket.over = True
        self._waiting.remove(ticket)
        self._open.discard(ticket)

    def _own(self) -> None:
        while True:
            with self._condition:
                expired = self._expire()
                batch = self._waiting.next_batch(self.budget, self._models.ready)
                absent = {model for model, _ in self._waiting.groups()} - self._loading
                absent = {model for model in absent if not self._models.ready(model)}
                self._loading |= absent
                if not (expired or batch or absent):
                    if self._draining and not self._open:
                        return
                    self._condition.wait(_SWEEP_S if self._waiting.items else None)
                    continue
                for item in batch:
                    item.ticket.running += 1
            for ticket in expired:
                ticket.deliver(DeadlineExceededError("the deadline passed before the request was answered"))
            for model in absent:
                self._models.request(model, lambda error, model=model: self._loaded(model, error))  # type: ignore[misc]
            if batch:
                self._run(batch)

    def _expire(self) -> list[Ticket]:
        now = time.monotonic()
        late = [t for t in self._waiting.tickets() if t.request.deadline is not None and t.request.deadline <= now]
        for ticket in late:
            self._close(ticket)
        return late

    def _loaded(self, model: str, error: ModelFailedError | None) -> None:
        with self._condition:
            self._loading.discard(model)
            failed = [t for t in self._waiting.tickets() if t.request.model == model] if error is not None else []
            for ticket in failed:
                self._close(ticket)
            self._condition.notify()
        for ticket in failed:
            ticket.deliver(error or ModelFailedError(model))

    def _run(self, batch: list[Item]) -> None:
        model, tower = batch[0].ticket.group
        started = time.monotonic()
        outcomes = self._encode(model, tower, batch)
        seconds = time.monotonic() - started
        done = []
        with self._condition:
            for item, outcome in zip(batch, outcomes, strict=True):
                ticket = item.ticket
                ticket.running -= 1
                if ticket.started is None:
                    ticket.started = started
                if isinstance(outcome, EngineError):
                    ticket.failures[item.index] = outcome
                else:
                    ticket.embeddings[item.index] = outcome
            for ticket in {item.ticket for item in batch}:
                ticket.forward_s += seconds
                if not (ticket.over or ticket.waiting or ticket.running):
                    self._close(ticket)
                    done.append(ticket)
        for ticket in done:
            ticket.deliver(ticket.result())

    def _encode(self, model: str, tower: Tower, batch: list[Item]) -> list[Vectors | EngineError]:
        """Run a batch; equal texts run once, and if the batch fails each item is tried alone."""
        keys = [item.array.tobytes() if tower == "text" else id(item) for item in batch]
        unique = {key: item.array for key, item in zip(keys, batch, strict=True)}
        outcomes = dict(zip(unique, self._attempt(model, tower, list(unique.values())), strict=True))
        if tower == "text":
            for key, array in unique.items():
                outcome = outcomes[key]
                if not isinstance(outcome, EngineError):
                    self._models.remember(model, array, outcome)
        return [outcomes[key] for key in keys]

    def _attempt(self, model: str, tower: Tower, arrays: list[npt.NDArray[Any]]) -> list[Vectors | EngineError]:
        try:
            vectors = self._models.encode(model, tower, arrays)
        except Exception as error:  # noqa: BLE001  whatever one item does, the owner thread must outlive it
            log.warning("a forward pass failed", extra={"model": model, "tower": tower, "error": type(error).__name__})
            if len(arrays) > 1:
                return [self._attempt(model, tower, [array])[0] for array in arrays]
            return [ItemFailedError(f"the model failed on this item ({type(error).__name__})")]
        finite = np.isfinite(vectors).all(axis=1)
        return [
            vector if good else ItemFailedError("the model gave NaN or infinity for this item")
            for vector, good in zip(vectors, finite, strict=True)
        ]


def wait_for(submit: Callable[[Deliver], Any], cancel: Callable[[Any], None], deadline: float | None) -> EmbedResult:
    """Turn submit-and-deliver into a call that waits.

    Args:
        submit: takes `deliver`, returns a ticket.
        cancel: takes that ticket, when the deadline passes first.
        deadline: in seconds of time.monotonic().
    Raises:
        EngineError: whatever was delivered instead of an answer.
    """
    answered = threading.Event()
    answers: list[EmbedResult | EngineError] = []

    def deliver(answer: EmbedResult | EngineError) -> None:
        answers.append(answer)
        answered.set()

    ticket = submit(deliver)
    if not answered.wait(None if deadline is None else max(0.0, deadline - time.monotonic())):
        cancel(ticket)
        raise DeadlineExceededError("the deadline passed before the request was answered")
    answer = answers[0]
    if isinstance(answer, EngineError):
        raise answer
    return answer
