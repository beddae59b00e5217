"""A batch that runs: its items as a model takes them, and which vector belongs to which item."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.budget import BatchBudget
from engine.cache import make_text_keys
from engine.errors import EngineError, ItemFailedError
from engine.forward import Arrays, LoadedModel, Outcome, check, isolate
from engine.tickets import Group, Integers, Part, Ticket
from models.backends import Pending
from models.backends.memory import is_exhausted
from models.vectors import Vectors

log = logging.getLogger(__name__)
# Indexes of failed items in one line of the log.
_MOST_LOGGED = 8


@dataclass(eq=False)
class RunningBatch:
    """A batch of one model and tower.

    Attributes:
        parts: its items, by ticket.
        arrays: what runs, one after another. Of equal texts only one runs.
        lengths: int64 (items that run,), tokens or frames of each.
        places: int64 (items of the parts,), where among the items that run each item is; None: in the same order.
        keys: of the texts that run, for the cache; None for clips.
        started: when it began, in seconds of time.monotonic().
        pending: the forward pass, once it began.
    """

    model: LoadedModel
    group: Group
    parts: Sequence[Part]
    arrays: Arrays
    lengths: Integers
    places: Integers | None
    keys: list[bytes] | None
    started: float
    pending: Pending | None = None

    @property
    def tickets(self) -> set[Ticket]:
        """The tickets that its items belong to."""
        return {part.ticket for part in self.parts}

    @property
    def positions(self) -> Integers:
        """Positions of each item that runs, int64 (items,)."""
        positions = np.concatenate([part.positions for part in self.parts])
        return positions if self.places is None else positions[_find_first(self.places, len(self.lengths))]

    def begin(self) -> bool:
        """Start the forward pass; returns whether it is done already, and raises whatever the model raises."""
        self.pending = self.model.begin(self.group[1], self.arrays, self.lengths)
        return self.pending.is_done

    def wait(self) -> Outcome:
        """Wait for the vectors.

        Raises:
            RuntimeError: it was not begun. Whatever the model raises is raised, too.
        """
        if self.pending is None:
            raise RuntimeError("this batch was not begun")
        return check(self.pending.wait(), len(self.lengths))

    def isolate(self, error: Exception, budget: BatchBudget) -> Outcome:
        """Find the items that made this batch fail; all of them, where a broken device lets nobody look for them.

        Args:
            error: what the model raised.
            budget: made smaller where the device had no memory for this batch.
        """
        if is_exhausted(error):
            budget.shrink(self.group, tokens=int(self.positions.sum()))
        try:
            return isolate(self.model, self.group[1], self.arrays, self.lengths, error=error)
        except Exception as again:  # it would go on as a batch that runs, and the engine would wait for it
            log.exception("the items at fault cannot be found")
            failure = ItemFailedError(f"the device failed ({type(again).__name__})")
            failures: dict[int, EngineError] = dict.fromkeys(range(len(self.lengths)), failure)
            return Outcome(np.zeros((len(self.lengths), 0), dtype=np.float32), failures)

    def list_vectors(self, outcome: Outcome) -> list[tuple[Part, Vectors]]:
        """List the vectors of each part.

        Args:
            outcome: of this batch.
        Returns:
            parts, each with float32 (items of the part, embed_dim).
        """
        vectors = outcome.vectors if self.places is None else outcome.vectors[self.places]
        ends = np.cumsum([len(part) for part in self.parts]).tolist()
        return [(part, vectors[end - len(part) : end]) for part, end in zip(self.parts, ends, strict=True)]

    def count_failures(self, outcome: Outcome) -> int:
        """Count the items that failed; equal texts fail together."""
        return sum(len(self._list_same(place)) for place in outcome.failures)

    def note_failures(self, outcome: Outcome) -> None:
        """Note at each ticket why its items failed, and log which requests they belong to."""
        ends = np.cumsum([len(part) for part in self.parts])
        for place, error in outcome.failures.items():
            for item in self._list_same(place).tolist():
                number = int(np.searchsorted(ends, item, side="right"))
                part = self.parts[number]
                index = part.indexes[item - int(ends[number]) + len(part)]
                part.ticket.failures[int(index)] = error
        for ticket in self.tickets:
            failed = ticket.failures
            if failed:
                facts = {
                    "items": sorted(failed)[:_MOST_LOGGED],
                    "failed": len(failed),
                    "code": min(failed.items())[1].code,
                }
                log.warning("items failed", extra={"request_id": ticket.request.request_id, **facts})

    def _list_same(self, place: int) -> Integers:
        return np.array([place]) if self.places is None else np.flatnonzero(self.places == place)


class InFlight:
    """The batches that were begun and are not done, in this order; one thread adds them."""

    def __init__(self) -> None:
        self._batches: list[RunningBatch] = []
        self._last_end = 0.0

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, batch: RunningBatch) -> None:
        """Add a batch that begins now."""
        self._batches.append(batch)

    def end(self, batch: RunningBatch, now: float) -> float:
        """Remove a batch; returns how long the device took for it alone, in seconds."""
        seconds = now - max(batch.started, self._last_end)
        self._last_end = now
        self._batches.remove(batch)
        return seconds

    def measure_s(self, now: float) -> float:
        """Measure how long the batch that runs now has run, in seconds; 0 when none runs."""
        oldest = self._batches[:1]
        return now - max(oldest[0].started, self._last_end) if oldest else 0.0


def gather(model: LoadedModel, parts: Sequence[Part], started: float) -> RunningBatch:
    """Gather the items of parts into one batch; equal texts run once.

    Args:
        parts: of one model and tower; at least one.
        started: seconds of time.monotonic().
    """
    group = parts[0].ticket.group
    arrays: Arrays = list(chain.from_iterable(part.list_arrays() for part in parts))
    lengths = np.concatenate([_list_lengths(part) for part in parts])
    if group[1] != "text":
        return RunningBatch(model, group, parts, arrays, lengths, None, None, started)
    try:
        keys = make_text_keys(arrays, lengths)
    except (TypeError, ValueError):  # an item is no list of ids; the model fails on it, and on no other
        return RunningBatch(model, group, parts, arrays, lengths, None, None, started)
    numbers: dict[bytes, int] = {}
    # The number of a text that was not there before is how many were.
    places = [numbers.setdefault(key, len(numbers)) for key in keys]
    if len(numbers) == len(keys):
        return RunningBatch(model, group, parts, arrays, lengths, None, keys, started)
    first = _find_first(np.array(places), len(numbers))
    joined, ends = np.concatenate(arrays), np.cumsum(lengths)
    once = [joined[end - length : end] for end, length in zip(ends[first], lengths[first], strict=True)]
    return RunningBatch(model, group, parts, once, lengths[first], np.array(places), list(numbers), started)


def _list_lengths(part: Part) -> Integers:
    """List tokens or frames of each item: int64 (items,)."""
    request = part.ticket.request
    if request.tower == "text":
        return part.positions
    if request.lengths is not None:
        return request.lengths[part.indexes]
    return np.array([len(request.items[index]) for index in part.indexes.tolist()], dtype=np.int64)


def _find_first(places: Integers, count: int) -> npt.NDArray[Any]:
    """Find where each of the numbers 0 to count - 1 comes first in places: int64 (count,)."""
    first = np.empty(count, dtype=np.int64)
    first[places[::-1]] = np.arange(len(places))[::-1]
    return first
