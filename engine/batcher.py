"""One thread owns the models: it runs what gathered while the last batch ran, and no request can stop it."""

import logging
import threading
import time
from collections.abc import Iterable

from engine.budget import BatchBudget
from engine.cache import TextCache, make_text_key
from engine.delivery import Deliver
from engine.errors import EngineError, ModelFailedError
from engine.forward import LoadedModel, Models, Outcome, attempt
from engine.interface import EmbedRequest, EmbedResult
from engine.linger import Linger
from engine.metrics import EngineMetrics
from engine.queue import Item, Ticket, WaitingItems
from processes.errors import DeadlineExceededError, EngineStoppedError, ProcessError

log = logging.getLogger(__name__)
# How often the owner looks for requests whose deadline passed while their model loads, in seconds.
_SWEEP_S = 0.25


class Batcher:
    """The queue, the owner thread, and the way back to each client.

    Args:
        cache: vectors of texts that were embedded before.
        waiting: the queue, which nothing else may use.
        budget: padded positions in one forward pass.
        linger: how long a batch waits for the clients that the last batch answered.

    Attributes:
        failed_batches: consecutive batches in which every item failed, until now.
    """

    def __init__(
        self,
        models: Models,
        cache: TextCache,
        *,
        waiting: WaitingItems,
        budget: BatchBudget,
        metrics: EngineMetrics | None = None,
        linger: Linger | None = None,
    ) -> None:
        self._models = models
        self._cache = cache
        self._waiting = waiting
        self._budget = budget
        self._metrics = metrics or EngineMetrics()
        self._linger = linger or Linger()
        self._condition = threading.Condition()
        self._draining = False
        self._loading: set[str] = set()
        self._open: set[Ticket] = set()
        self._running_since: float | None = None
        self.failed_batches = 0
        self._thread = threading.Thread(target=self._run_owner, name="engine-owner", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the owner thread runs."""
        return self._thread.is_alive()

    @property
    def waiting_items(self) -> int:
        """Items that wait now."""
        return self._waiting.items

    @property
    def waiting_tokens(self) -> int:
        """Positions that wait now."""
        return self._waiting.tokens

    @property
    def running_s(self) -> float:
        """How long the forward pass that runs now has run, in seconds; 0 when no forward pass runs."""
        since = self._running_since
        return 0.0 if since is None else time.monotonic() - since

    def submit(self, request: EmbedRequest, deliver: Deliver) -> Ticket:
        """Admit a request and return at once; `deliver` is called exactly once, unless the ticket is cancelled.

        It may be called before this returns: from the owner thread or, if the cache has every item, from this thread.

        Raises:
            QueueFullError: the queue has no place for all items of the request.
            EngineStoppedError: the engine is shutting down.
        """
        ticket = Ticket(request, deliver, admitted=time.monotonic())
        pending = self._fill_from_cache(ticket)
        with self._condition:
            if self._draining or not self.alive:
                raise EngineStoppedError("the engine is shutting down")
            if pending:
                self._waiting.admit(ticket, pending)
                self._linger.note_arrival(ticket.group)
                self._open.add(ticket)
                self._condition.notify()
        if not pending:
            ticket.over = True
            deliver(ticket.build_result())
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Drop a request whose client has disconnected. If it runs already, its result is not delivered."""
        with self._condition:
            self._close([ticket])

    def stop(self, *, drain: bool = True) -> None:
        """Refuse new requests, finish the admitted ones, end the thread. May be called twice.

        Args:
            drain: whether to answer the admitted requests; False: refuse those too.
        """
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
        """Fill in the vectors that the cache has; returns the indexes of the items that must run."""
        request = ticket.request
        model = self._models.get_loaded(request.model) if request.tower == "text" else None
        pending = []
        for index, array in enumerate(request.items):
            vector = self._cache.get((request.model, model.digest, make_text_key(array))) if model is not None else None
            if vector is None:
                pending.append(index)
            else:
                ticket.embeddings[index] = vector
                ticket.cached += 1
        if model is not None:
            ticket.digest, ticket.dtype = model.digest, model.dtype
            self._metrics.count_lookups(hits=ticket.cached, misses=len(pending))
        return pending

    def _close(self, tickets: Iterable[Ticket]) -> None:
        closed = {ticket for ticket in tickets if not ticket.over}
        for ticket in closed:
            ticket.over = True
        self._waiting.remove(closed)
        self._open -= closed

    def _run_owner(self) -> None:
        while True:
            try:
                if not self._step():
                    return
            except Exception:  # the last resort: if the owner thread ended, every request would wait for ever
                log.exception("the owner thread failed")
                with self._condition:
                    failed = list(self._open)
                    self._close(failed)
                    self._loading.clear()
                for ticket in failed:
                    _deliver(ticket, EngineError("the engine failed; the request may be sent again"))

    def _step(self) -> bool:
        """Do what there is to do, or wait for it; returns False when all is done and the engine is shutting down."""
        with self._condition:
            if self._wait_to_linger():
                return True
            expired = self._expire()
            # Referred to until the batch ends, so that a model that is unloaded in the meantime neither vanishes nor
            # loads on this thread.
            names = {name for name, _ in self._waiting.list_groups()}
            models = {name: self._models.get_loaded(name) for name in names}
            batch = self._waiting.take_batch(self._budget.get_tokens, lambda name: models[name] is not None)
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
            self._models.start_loading(name, lambda error, name=name: self._end_loading(name, error))  # type: ignore[misc]
        model = models[batch[0].ticket.request.model] if batch else None
        if model is not None:
            self._run(model, batch)
        return True

    def _wait_to_linger(self) -> bool:
        """Wait for the clients that were just answered, if that may fill the next batch; False: run the batch now."""
        waiting = self._waiting
        left_s = self._linger.compute_left_s(waiting.list_groups(), waiting.tokens, time.monotonic())
        if not left_s or self._draining:
            return False
        if not self._condition.wait(left_s):
            self._linger.end()
        return True

    def _expire(self) -> list[Ticket]:
        now = time.monotonic()
        late = [t for t in self._waiting.list_tickets() if t.request.deadline is not None and t.request.deadline <= now]
        self._close(late)
        return late

    def _end_loading(self, name: str, error: ModelFailedError | None) -> None:
        with self._condition:
            self._loading.discard(name)
            tickets = self._waiting.list_tickets() if error is not None else ()
            failed = [ticket for ticket in tickets if ticket.request.model == name]
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
        self.failed_batches = self.failed_batches + 1 if failed else 0
        self._count(batch, outcomes, seconds)
        with self._condition:
            for item, outcome in zip(batch, outcomes, strict=True):
                self._note_outcome(item, outcome, model=model, started=started)
            tickets = {item.ticket for item in batch}
            for ticket in tickets:
                ticket.forward_s += seconds
            done = [t for t in tickets if not (t.over or t.waiting or t.running)]
            self._close(done)
            group = batch[0].ticket.group
            full_tokens = self._budget.get_tokens(group)
            self._linger.note_batch(
                len(done), group=group, full_tokens=full_tokens, seconds=seconds, now=time.monotonic()
            )
        for ticket in done:
            _deliver(ticket, ticket.build_result())

    def _note_outcome(self, item: Item, outcome: Outcome, *, model: LoadedModel, started: float) -> None:
        ticket = item.ticket
        ticket.running -= 1
        if ticket.digest not in (None, model.digest) and not ticket.over:
            self._start_over(ticket)
        ticket.digest, ticket.dtype = model.digest, model.dtype
        if ticket.started is None:
            ticket.started = started
            self._metrics.count_wait(started - ticket.admitted)
        if isinstance(outcome, EngineError):
            ticket.failures[item.index] = outcome
        else:
            ticket.embeddings[item.index] = outcome

    def _start_over(self, ticket: Ticket) -> None:
        """Let the items wait again that other weights embedded: vectors of two models do not belong in one answer."""
        embedded = [*ticket.embeddings, *ticket.failures]
        ticket.embeddings.clear()
        ticket.failures.clear()
        ticket.cached = 0
        self._waiting.admit_again(ticket, embedded)

    def _count(self, batch: list[Item], outcomes: list[Outcome], seconds: float) -> None:
        name, tower = group = batch[0].ticket.group
        # Equal texts ran once. If they counted thirty times, the model would seem thirty times as fast.
        lengths = {make_text_key(i.array) if tower == "text" else id(i): i.length for i in batch}
        ran = list(lengths.values())
        padded = max(ran) * len(ran)
        self._metrics.count_batch(name, tower, items=len(ran), tokens=sum(ran), padded=padded, seconds=seconds)
        failed = sum(isinstance(outcome, EngineError) for outcome in outcomes)
        if failed:
            self._metrics.count_failures(name, tower, failed)
        else:  # finding the items that fail takes forward passes of its own
            self._budget.observe(group, tokens=padded, seconds=seconds)

    def _encode(self, model: LoadedModel, batch: list[Item]) -> list[Outcome]:
        """Run a batch, equal texts once, and keep the vectors of texts."""
        name, tower = batch[0].ticket.group
        if tower == "pose":
            return attempt(model, tower, [item.array for item in batch])
        keys = [make_text_key(item.array) for item in batch]
        unique = {key: item.array for key, item in zip(keys, batch, strict=True)}
        outcomes = dict(zip(unique, attempt(model, tower, list(unique.values())), strict=True))
        for key, outcome in outcomes.items():
            if not isinstance(outcome, EngineError):
                self._cache.put((name, model.digest, key), outcome)
        return [outcomes[key] for key in keys]


def _deliver(ticket: Ticket, answer: EmbedResult | ProcessError) -> None:
    try:
        ticket.deliver(answer)
    except Exception:  # the other requests of the batch are answered, although this receiver failed
        log.exception("an answer could not be delivered")
