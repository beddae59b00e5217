"""One thread owns the models: it takes what gathered while the last batch ran, and nothing a request does stops it."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from engine.budget import BatchBudget
from engine.cache import TextCache, text_key
from engine.delivery import Deliver
from engine.errors import EngineError, ModelFailedError
from engine.forward import LoadedModel, attempt
from engine.interface import EmbedRequest, EmbedResult
from engine.linger import Linger
from engine.metrics import EngineMetrics
from engine.queue import Item, Ticket, WaitingItems
from models.backends import Vectors
from processes.errors import DeadlineExceededError, EngineStoppedError, ProcessError

log = logging.getLogger(__name__)
# How often the owner looks for requests whose deadline passed while their model loads, in seconds.
_SWEEP_S = 0.25


class Models(Protocol):
    """Where the batcher finds its models; neither method may block."""

    def get_loaded(self, name: str) -> LoadedModel | None:
        """The model, if it could run at once."""
        ...

    def request(self, name: str, on_change: Callable[[ModelFailedError | None], None]) -> None:
        """Start loading a model that is not loaded; on_change is called once, from any thread."""
        ...


class Batcher:
    """Queue, owner thread and the way back to whoever asked.

    Args:
        cache: vectors of texts seen before.
        budget: padded positions in one forward pass.
        max_items, max_tokens: what may wait; see engine.queue.
        linger: see engine.linger.
    """

    def __init__(
        self,
        models: Models,
        cache: TextCache,
        *,
        budget: BatchBudget,
        max_items: int,
        max_tokens: int,
        metrics: EngineMetrics | None = None,
        linger: Linger | None = None,
    ) -> None:
        self._models = models
        self._cache = cache
        self._budget = budget
        self._metrics = metrics or EngineMetrics()
        self._waiting = WaitingItems(max_items=max_items, max_tokens=max_tokens)
        self._condition = threading.Condition()
        self._draining = False
        self._loading: set[str] = set()
        self._open: set[Ticket] = set()
        self._running_since: float | None = None
        self._linger = linger or Linger()
        self.failed_in_a_row = 0
        """Batches since the last one of which anything came out."""
        self._thread = threading.Thread(target=self._own, name="engine-owner", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def waiting_items(self) -> int:
        return self._waiting.items

    @property
    def waiting_tokens(self) -> int:
        return self._waiting.tokens

    def running_s(self) -> float:
        """How long the forward pass that runs now has run, in seconds; 0 when none does."""
        since = self._running_since
        return 0.0 if since is None else time.monotonic() - since

    def submit(self, request: EmbedRequest, deliver: Deliver) -> Ticket:
        """Admit a request and return at once; `deliver` is called exactly once, unless the ticket is cancelled.

        It may be called before this returns, from the owner thread or, if the cache has everything, from this one.

        Raises:
            QueueFullError: it does not fit.
            EngineStoppedError: the engine is draining.
        """
        ticket = Ticket(request, deliver, admitted=time.monotonic())
        pending = self._fill_from_cache(ticket)
        with self._condition:
            if self._draining or not self.alive:
                raise EngineStoppedError("the engine is shutting down")
            if pending:
                self._waiting.admit(ticket, pending)
                self._linger.arrived(ticket.group)
                self._open.add(ticket)
                self._condition.notify()
        if not pending:
            ticket.over = True
            deliver(ticket.result())
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Forget a request whose asker is gone; what already runs is not delivered."""
        with self._condition:
            self._close([ticket])

    def stop(self, *, drain: bool = True) -> None:
        """Refuse what comes, answer what was admitted (or refuse that too), end the thread. May be called twice."""
        with self._condition:
            self._draining = True
            dropped = [] if drain else list(self._open)
            self._close(dropped)
            self._condition.notify()
        for ticket in dropped:
            _deliver(ticket, EngineStoppedError("the engine is shutting down"))
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _fill_from_cache(self, ticket: Ticket) -> list[int]:
        """Give a ticket what is known already; returns the indexes of the items that must run."""
        request = ticket.request
        model = self._models.get_loaded(request.model) if request.tower == "text" else None
        pending = []
        for index, array in enumerate(request.items):
            vector = self._cache.get((request.model, model.digest, text_key(array))) if model is not None else None
            if vector is None:
                pending.append(index)
            else:
                ticket.embeddings[index] = vector
                ticket.cached += 1
        if model is not None:
            ticket.digest, ticket.dtype = model.digest, model.dtype
            self._metrics.looked_up(hits=ticket.cached, misses=len(pending))
        return pending

    def _close(self, tickets: Iterable[Ticket]) -> None:
        closed = {ticket for ticket in tickets if not ticket.over}
        for ticket in closed:
            ticket.over = True
        self._waiting.remove(closed)
        self._open -= closed

    def _own(self) -> None:
        while True:
            try:
                if not self._step():
                    return
            except Exception:  # the last resort: an owner thread that dies leaves every request waiting forever
                log.exception("the owner thread stumbled")
                with self._condition:
                    failed = list(self._open)
                    self._close(failed)
                    self._loading.clear()
                for ticket in failed:
                    _deliver(ticket, EngineError("the engine failed; the request may be sent again"))

    def _step(self) -> bool:
        """Do what there is to do, or wait for it; False when all is done and the engine is draining."""
        with self._condition:
            if self._waits_on():
                return True
            expired = self._expire()
            # Held to the end of the batch: a model let go meanwhile neither vanishes nor loads on this thread.
            models = {name: self._models.get_loaded(name) for name in {name for name, _ in self._waiting.groups()}}
            batch = self._waiting.next_batch(self._budget.tokens, lambda name: models[name] is not None)
            absent = {name for name, model in models.items() if model is None} - self._loading
            self._loading |= absent
            for item in batch:
                item.ticket.running += 1
            if not (expired or batch or absent):
                if self._draining and not self._open:
                    return False
                del models
                self._condition.wait(_SWEEP_S if self._waiting.items else None)
                return True
        for ticket in expired:
            _deliver(ticket, DeadlineExceededError("the deadline passed before the request was answered"))
        for name in absent:
            self._models.request(name, lambda error, name=name: self._loaded(name, error))  # type: ignore[misc]
        model = models[batch[0].ticket.request.model] if batch else None
        if model is not None:
            self._run(model, batch)
        return True

    def _waits_on(self) -> bool:
        """Wait for those who were just answered, if that may fill the next batch; False when it should run."""
        waiting = self._waiting
        left_s = self._linger.left_s(waiting.groups(), waiting.tokens, time.monotonic())
        if not left_s or self._draining:
            return False
        if not self._condition.wait(left_s):
            self._linger.end()
        return True

    def _expire(self) -> list[Ticket]:
        now = time.monotonic()
        late = [t for t in self._waiting.tickets() if t.request.deadline is not None and t.request.deadline <= now]
        self._close(late)
        return late

    def _loaded(self, name: str, error: ModelFailedError | None) -> None:
        with self._condition:
            self._loading.discard(name)
            failed = [t for t in self._waiting.tickets() if t.request.model == name] if error is not None else []
            self._close(failed)
            self._condition.notify()
        for ticket in failed:
            _deliver(ticket, error or ModelFailedError(name))

    def _run(self, model: LoadedModel, batch: list[Item]) -> None:
        self._running_since = started = time.monotonic()
        outcomes = self._encode(model, batch)
        self._running_since = None
        seconds = time.monotonic() - started
        failed = all(isinstance(outcome, EngineError) for outcome in outcomes)
        self.failed_in_a_row = self.failed_in_a_row + 1 if failed else 0
        self._count(batch, outcomes, seconds)
        with self._condition:
            for item, outcome in zip(batch, outcomes, strict=True):
                ticket = item.ticket
                ticket.running -= 1
                if ticket.digest not in (None, model.digest) and not ticket.over:
                    self._start_over(ticket)
                ticket.digest, ticket.dtype = model.digest, model.dtype
                if ticket.started is None:
                    ticket.started = started
                    self._metrics.waited(started - ticket.admitted)
                if isinstance(outcome, EngineError):
                    ticket.failures[item.index] = outcome
                else:
                    ticket.embeddings[item.index] = outcome
            tickets = {item.ticket for item in batch}
            for ticket in tickets:
                ticket.forward_s += seconds
            done = [t for t in tickets if not (t.over or t.waiting or t.running)]
            self._close(done)
            group = batch[0].ticket.group
            full_tokens = self._budget.tokens(group)
            self._linger.answered(
                len(done), group=group, full_tokens=full_tokens, seconds=seconds, now=time.monotonic()
            )
        for ticket in done:
            _deliver(ticket, ticket.result())

    def _start_over(self, ticket: Ticket) -> None:
        """Let everything wait again that other weights embedded: vectors of two do not belong into one answer."""
        embedded = [*ticket.embeddings, *ticket.failures]
        ticket.embeddings.clear()
        ticket.failures.clear()
        ticket.cached = 0
        self._waiting.admit_again(ticket, embedded)

    def _count(self, batch: list[Item], outcomes: list[Vectors | EngineError], seconds: float) -> None:
        name, tower = group = batch[0].ticket.group
        # Equal texts ran once: thirty askers of one word must not pass for a model thirty times as fast.
        ran = list({text_key(i.array) if tower == "text" else id(i): i.length for i in batch}.values())
        padded = max(ran) * len(ran)
        self._metrics.batch(name, tower, items=len(ran), tokens=sum(ran), padded=padded, seconds=seconds)
        failed = sum(isinstance(outcome, EngineError) for outcome in outcomes)
        if failed:
            self._metrics.failed(name, tower, failed)
        else:  # finding the items that fail takes forwards of its own
            self._budget.observe(group, tokens=padded, seconds=seconds)

    def _encode(self, model: LoadedModel, batch: list[Item]) -> list[Vectors | EngineError]:
        """Run a batch, equal texts once, and remember the texts."""
        name, tower = batch[0].ticket.group
        if tower == "pose":
            return attempt(model, tower, [item.array for item in batch])
        keys = [text_key(item.array) for item in batch]
        unique = {key: item.array for key, item in zip(keys, batch, strict=True)}
        outcomes = dict(zip(unique, attempt(model, tower, list(unique.values())), strict=True))
        for key, outcome in outcomes.items():
            if not isinstance(outcome, EngineError):
                self._cache.put((name, model.digest, key), outcome)
        return [outcomes[key] for key in keys]


def _deliver(ticket: Ticket, answer: EmbedResult | ProcessError) -> None:
    try:
        ticket.deliver(answer)
    except Exception:  # a receiver that fails to receive is no reason to leave the others without their answers
        log.exception("an answer could not be delivered")
