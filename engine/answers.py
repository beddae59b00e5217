"""How tickets get their vectors: those that the cache has, and those of batches, which the cache then keeps."""

import logging
from collections.abc import Sequence

import numpy as np

from engine.budget import BatchBudget
from engine.cache import TextCache, make_text_keys
from engine.forward import Models, Outcome
from engine.interface import EmbedResult
from engine.metrics import EngineMetrics
from engine.queue import WaitingItems
from engine.running import RunningBatch
from engine.tickets import Integers, Ticket
from processes.errors import ProcessError

log = logging.getLogger(__name__)


def share_out(
    batch: RunningBatch, outcome: Outcome, *, seconds: float, waiting: WaitingItems, metrics: EngineMetrics
) -> list[Ticket]:
    """Give each ticket of a batch its vectors. The caller holds the queue's lock.

    If other weights embedded the rest of a ticket, that rest waits again: vectors of two models do not belong in one
    answer.

    Args:
        seconds: how long the batch took.
    Returns:
        the tickets that have all their vectors now.
    """
    model = batch.model
    for part, vectors in batch.list_vectors(outcome):
        ticket = part.ticket
        ticket.running -= len(part)
        if ticket.digest not in (None, model.digest) and not ticket.over:
            waiting.admit_again(ticket, ticket.start_over())
        ticket.digest, ticket.dtype = model.digest, model.dtype
        if ticket.started is None:
            ticket.started = batch.started
            metrics.count_wait(batch.started - ticket.admitted)
        ticket.keep(part.indexes, vectors)
    if outcome.failures:
        batch.note_failures(outcome)
    tickets = batch.tickets
    for ticket in tickets:
        ticket.forward_s += seconds
    return [ticket for ticket in tickets if not (ticket.over or ticket.waiting or ticket.running)]


def fill_from_cache(ticket: Ticket, *, models: Models, cache: TextCache, metrics: EngineMetrics) -> Integers:
    """Fill in the vectors that the cache has.

    Returns:
        int64 (items,), the indexes of the items that must run, ascending.
    """
    request, every = ticket.request, np.arange(len(ticket.positions))
    if request.tower != "text" or not cache.keeps_any or not len(every):
        return every
    model = models.get_loaded(request.model)
    if model is None:
        return every
    try:
        keys = make_text_keys(request.items, ticket.positions)
    except (TypeError, ValueError):  # an item is no list of ids; the model fails on it
        return every
    found = cache.get(request.model, model.digest, keys)
    vectors = [vector for vector in found if vector is not None]
    metrics.count_lookups(hits=len(vectors), misses=len(found) - len(vectors))
    ticket.digest, ticket.dtype = model.digest, model.dtype
    if not vectors:
        return every
    is_known = np.array([vector is not None for vector in found])
    ticket.keep(every[is_known], np.stack(vectors))
    ticket.cached = len(vectors)
    return every[~is_known]


def keep_texts(batch: RunningBatch, outcome: Outcome, cache: TextCache) -> None:
    """Keep the vectors of a batch of texts in the cache."""
    if batch.keys is None or not cache.keeps_any:
        return
    keys, vectors = batch.keys, outcome.vectors
    if outcome.failures:
        good = [place for place in range(len(keys)) if place not in outcome.failures]
        keys, vectors = [keys[place] for place in good], vectors[good]
    cache.put(batch.group[0], batch.model.digest, keys, vectors)


def count_batch(
    batch: RunningBatch, outcome: Outcome, *, seconds: float, metrics: EngineMetrics, budget: BatchBudget
) -> None:
    """Count a batch, and let the budget learn from it."""
    # Equal texts ran once. If they counted thirty times, the model would seem thirty times as fast.
    positions = batch.positions
    tokens = int(positions.sum())
    padded = tokens if batch.model.packs else int(positions.max()) * len(positions)
    name, tower = batch.group
    metrics.count_batch(name, tower, items=len(positions), tokens=tokens, padded=padded, seconds=seconds)
    failed = batch.count_failures(outcome)
    if failed:
        metrics.count_failures(name, tower, failed)
    else:  # finding the items that fail takes forward passes of its own
        budget.observe(batch.group, tokens=padded, seconds=seconds)


def deliver(tickets: Sequence[Ticket], error: ProcessError | None = None) -> None:
    """Deliver the answers of tickets, or why there are none."""
    for ticket in tickets:
        answer: EmbedResult | ProcessError = ticket.build_result() if error is None else error
        try:
            ticket.deliver(answer)
        except Exception:  # the other requests of the batch are answered, although this receiver failed
            log.exception("an answer could not be delivered", extra={"request_id": ticket.request.request_id})
