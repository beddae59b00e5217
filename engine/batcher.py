"""One thread owns the models: it runs what gathered while the last batch ran, and no request can stop it."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from engine.answers import count_batch, deliver, fill_from_cache, keep_texts, share_out
from engine.budget import BatchBudget
from engine.cache import TextCache
from engine.delivery import Deliver
from engine.errors import EngineError, ModelFailedError
from engine.forward import LoadedModel, Models, Outcome
from engine.interface import EmbedRequest
from engine.linger import Linger
from engine.metrics import EngineMetrics
from engine.queue import WaitingItems
from engine.running import InFlight, RunningBatch, gather
from engine.tickets import Integers, Part, Ticket
from processes.errors import DeadlineExceededError, EngineStoppedError, ProcessError, QueueFullError

log = logging.getLogger(__name__)
# How often the owner looks for requests whose deadline passed while their model loads, in seconds.
_SWEEP_S = 0.25
# Batches that were begun and are not done: one that a device computes, and the next one, which lies ready.
_MOST_IN_FLIGHT = 2


class Batcher:
    """The queue, the owner thread, and the way back to each client.

    Where batches have no padding (on a GPU), the owner begins the next one while one runs, and a second thread waits
    for their vectors. Elsewhere the owner runs one batch after another.

    Args:
        cache: vectors of texts that were embedded before.
        waiting: the queue, which nothing else may use.
        budget: positions in one forward pass, with padding.
        linger: how long a batch waits for the clients that the last batch answered.

    Attributes:
        failed_batches: consecutive batches in which every item failed, until now.
        on_answers: called after answers were delivered, in the thread that delivered them.
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
        self._metrics = metrics or EngineMetrics()
        self._fill_from_cache = partial(fill_from_cache, models=models, cache=cache, metrics=self._metrics)
        self._waiting = waiting
        self._budget = budget
        self._linger = linger or Linger()
        self._condition = threading.Condition()
        self._draining = False
        self._loading: set[str] = set()
        self._open: set[Ticket] = set()
        self._in_flight = InFlight()
        self._begun: queue.SimpleQueue[RunningBatch | None] = queue.SimpleQueue()  # for the answering thread
        self._failed: list[tuple[RunningBatch, Exception]] = []
        self.failed_batches = 0
        self.on_answers: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run_owner, name="engine-owner", daemon=True)
        self._answering = threading.Thread(target=self._answer_begun, name="engine-answers", daemon=True)
        self._answering.start()
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the threads run."""
        return self._thread.is_alive() and self._answering.is_alive()

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
        return self._in_flight.measure_s(time.monotonic())

    def submit(self, request: EmbedRequest, deliver: Deliver) -> Ticket:
        """Admit a request and return at once; `deliver` is called exactly once, unless the ticket is cancelled.

        It may be called before this returns: from another thread or, if the cache has every item, from this thread.

        Raises:
            QueueFullError: the queue has no place for all items of the request.
            EngineStoppedError: the engine is shutting down.
        """
        admitted = self.submit_all([(request, deliver)])[0]
        if isinstance(admitted, Ticket):
            return admitted
        raise admitted

    def submit_all(self, requests: Sequence[tuple[EmbedRequest, Deliver]]) -> list[Ticket | ProcessError]:
        """Admit requests that came together; see `submit`.

        Returns:
            for each request its ticket, or the error that `submit` would raise.
        """
        tickets = [Ticket(request, deliver) for request, deliver in requests]
        pending = [self._fill_from_cache(ticket) for ticket in tickets]
        with self._condition:
            now = time.monotonic()
            admitted = [self._admit(ticket, indexes, now) for ticket, indexes in zip(tickets, pending, strict=True)]
            known = [ticket for ticket in admitted if isinstance(ticket, Ticket) and not ticket.waiting]
            if self._waiting.items:
                self._condition.notify()
        self._deliver([ticket for ticket in known if ticket.over])
        return admitted

    def _admit(self, ticket: Ticket, pending: Integers, now: float) -> Ticket | ProcessError:
        if self._draining or not self.alive:
            return EngineStoppedError("the engine is shutting down")
        ticket.admitted = now
        if not len(pending):
            ticket.over = True
            return ticket
        try:
            self._waiting.admit(ticket, pending)
        except QueueFullError as error:
            return error
        self._linger.note_arrival(ticket.group)
        self._open.add(ticket)
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Drop a request whose client has disconnected. If it runs already, its result is not delivered."""
        with self._condition:
            self._close([ticket])

    def stop(self, *, drain: bool = True) -> None:
        """Refuse new requests, finish the admitted ones, end the threads. May be called twice.

        Args:
            drain: whether to answer the admitted requests; False: refuse those too.
        """
        with self._condition:
            self._draining = True
            dropped = [] if drain else list(self._open)
            self._close(dropped)
            self._condition.notify()
        self._deliver(dropped, EngineStoppedError("the engine is shutting down"))
        for thread in (self._thread, self._answering):
            if threading.current_thread() not in (self._thread, self._answering):
                thread.join()

    def _deliver(self, tickets: Sequence[Ticket], error: ProcessError | None = None) -> None:
        if tickets:
            deliver(tickets, error)
            self.on_answers()

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
                    self._begun.put(None)
                    return
            except Exception:  # the last resort: if the owner thread ended, every request would wait for ever
                log.exception("the owner thread failed")
                self._fail_all()

    def _fail_all(self) -> None:
        with self._condition:
            self._close(failed := list(self._open))
            self._loading.clear()
        self._deliver(failed, EngineError("the engine failed; the request may be sent again"))

    def _step(self) -> bool:
        """Do what there is to do, or wait for it; returns False when all is done and the engine is shutting down."""
        with self._condition:
            again = self._failed.pop() if self._failed else None
            if again is None and self._wait_to_linger():
                return True
            late = self._waiting.list_late(time.monotonic())
            self._close(late)
            # Referred to until the batch begins, because a model may be unloaded in the meantime.
            models = {name: self._models.get_loaded(name) for name, _ in self._waiting.list_groups()}
            parts = self._take_parts(models) if again is None else []
            absent = {name for name, model in models.items() if model is None} - self._loading
            self._loading |= absent
            if not (again or late or parts or absent):
                if self._draining and not (self._open or self._in_flight):
                    return False
                del models
                self._condition.wait(_SWEEP_S if self._waiting.items else None)
                return True
        self._deliver(late, DeadlineExceededError("the deadline passed before the request was answered"))
        for name in absent:
            self._models.start_loading(name, lambda error, name=name: self._end_loading(name, error))  # type: ignore[misc]
        model = models[parts[0].ticket.request.model] if parts else None
        if again is not None:
            self._answer(again[0], again[0].isolate(again[1], self._budget))
        elif model is not None:
            self._run(model, parts)
        return True

    def _take_parts(self, models: Mapping[str, LoadedModel | None]) -> list[Part]:
        if len(self._in_flight) >= _MOST_IN_FLIGHT:
            return []
        parts = self._waiting.take_batch(
            self._budget.get_tokens,
            lambda name: models[name] is not None,
            lambda name: (model := models[name]) is not None and model.packs,
        )
        for part in parts:
            part.ticket.running += len(part)
        return parts

    def _wait_to_linger(self) -> bool:
        """Wait for the clients that were just answered, if that may fill the next batch; False: run the batch now."""
        waiting = self._waiting
        left_s = self._linger.compute_left_s(waiting.list_groups(), waiting.tokens, time.monotonic())
        if not left_s or self._draining:
            return False
        if not self._condition.wait(left_s):
            self._linger.end()
        return True

    def _end_loading(self, name: str, error: ModelFailedError | None) -> None:
        with self._condition:
            self._loading.discard(name)
            waiting = self._waiting.list_tickets()
            failed = [ticket for ticket in waiting if error is not None and ticket.request.model == name]
            self._close(failed)
            self._condition.notify()
        self._deliver(failed, error or ModelFailedError(name))

    def _run(self, model: LoadedModel, parts: Sequence[Part]) -> None:
        """Run a batch, or begin it and leave its answers to the other thread."""
        batch = gather(model, parts, time.monotonic())
        self._in_flight.add(batch)
        try:
            outcome = batch.wait() if batch.begin() else None
        except Exception as error:  # noqa: BLE001  some item is at fault, and the others are answered
            outcome = batch.isolate(error, self._budget)
        if outcome is not None:
            self._answer(batch, outcome)
        else:
            self._begun.put(batch)

    def _answer_begun(self) -> None:
        """Wait for the batches that were begun, in their order, and answer them."""
        while (batch := self._begun.get()) is not None:
            try:
                outcome = batch.wait()
            except Exception as error:  # noqa: BLE001  the owner, which makes all calls, finds the item at fault
                with self._condition:
                    self._failed.append((batch, error))
                    self._condition.notify()
                continue
            try:
                self._answer(batch, outcome)
            except Exception:  # the last resort, as in the owner thread
                log.exception("the answering thread failed")
                self._fail_all()

    def _answer(self, batch: RunningBatch, outcome: Outcome) -> None:
        with self._condition:
            seconds = self._in_flight.end(batch, time.monotonic())
            self._condition.notify()  # the next batch begins before this one is answered
        self.failed_batches = self.failed_batches + 1 if len(outcome.failures) == len(batch.lengths) else 0
        count_batch(batch, outcome, seconds=seconds, metrics=self._metrics, budget=self._budget)
        keep_texts(batch, outcome, self._cache)
        with self._condition:
            done = share_out(batch, outcome, seconds=seconds, waiting=self._waiting, metrics=self._metrics)
            self._close(done)
            if not batch.model.packs:  # where the next batch lies ready while one runs, waiting gains nothing
                full_tokens = self._budget.get_tokens(batch.group)
                self._linger.note_batch(
                    len(done), group=batch.group, full_tokens=full_tokens, seconds=seconds, now=time.monotonic()
                )
            if self._draining or self._waiting.items:  # some items may wait again
                self._condition.notify()
        self._deliver(done)
