"""Requests that wait for a forward pass: admitted up to an exact limit, taken out in batches of similar length."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError
from engine.interface import EmbedRequest, EmbedResult
from models.catalog import Tower
from processes.errors import ProcessError, QueueFullError

Group = tuple[str, Tower]
# Requests of more items than this are bulk: nobody looks at a screen waiting for the ninth label.
INTERACTIVE_ITEMS = 8
# Bulk may fill this share of the queue; the rest stays open for single items however much bulk arrives.
BULK_SHARE = 0.75
# A bulk item that has waited this long goes before younger interactive ones, every other batch.
LONGEST_BULK_WAIT_S = 2.0
# Padding in one batch, at most, as a share of its budget. A forward of one short text takes about this share of the
# time of a full batch (11 ms of 250 ms, 35 ms with torch): more padding than that costs more than a batch of its own.
PADDING_SHARE = 1 / 16
# [CLS] and [SEP] that the pose tower adds to the frames of a clip.
SPECIAL_POSITIONS = 2


@dataclass(eq=False)
class Ticket:
    """One admitted request on its way; owned by whoever holds the queue's lock.

    Attributes:
        deliver: called once, outside the lock, with the answer or the reason there is none.
    """

    request: EmbedRequest
    deliver: Callable[[EmbedResult | ProcessError], None]
    admitted: float
    embeddings: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)
    failures: dict[int, EngineError] = field(default_factory=dict)
    cached: int = 0
    waiting: int = 0
    running: int = 0
    started: float | None = None
    forward_s: float = 0.0
    digest: str | None = None
    dtype: str | None = None
    over: bool = False

    @property
    def group(self) -> Group:
        return self.request.model, self.request.tower

    @property
    def is_bulk(self) -> bool:
        return len(self.request.items) > INTERACTIVE_ITEMS

    def result(self) -> EmbedResult:
        count = len(self.request.items)
        dim = next((len(vector) for vector in self.embeddings.values()), 0)
        embeddings = np.zeros((count, dim), dtype=np.float32)
        for index, vector in self.embeddings.items():
            embeddings[index] = vector
        queue_s = (self.started or self.admitted) - self.admitted
        return EmbedResult(
            embeddings, dict(self.failures), queue_s, self.forward_s, self.cached, self.digest, self.dtype
        )


@dataclass(eq=False)
class Item:
    """One text or clip of a ticket; length in positions, [CLS] and [SEP] counted."""

    ticket: Ticket
    index: int
    array: npt.NDArray[Any]
    length: int


def item_length(tower: Tower, array: npt.NDArray[Any]) -> int:
    return len(array) + (SPECIAL_POSITIONS if tower == "pose" else 0)


class WaitingItems:
    """The queue itself; not locked, its owner locks around every call.

    Args:
        max_items, max_tokens: what may wait at once; a request that does not fit is refused whole.
    """

    def __init__(self, *, max_items: int, max_tokens: int) -> None:
        self.max_items = max_items
        self.max_tokens = max_tokens
        self.items = 0
        self.tokens = 0
        self._bulk_items = 0
        self._bulk_tokens = 0
        self._groups: OrderedDict[Group, list[Item]] = OrderedDict()
        self._bulk_last = False
        # When each group last ran, counted in batches; as many entries as the catalog has models and towers.
        self._ran: dict[Group, int] = {}
        self._batches = 0

    def admit(self, ticket: Ticket, indexes: Iterable[int]) -> None:
        """Let a ticket's items wait.

        Raises:
            QueueFullError: they do not all fit; none waits.
        """
        items = _items(ticket, indexes)
        self._check(len(items), sum(item.length for item in items), ticket.is_bulk)
        self._add(ticket, items)

    def admit_again(self, ticket: Ticket, indexes: Iterable[int]) -> None:
        """Let items of a ticket that was admitted once wait anew, whether or not there is a place."""
        self._add(ticket, _items(ticket, indexes))

    def _add(self, ticket: Ticket, items: list[Item]) -> None:
        if not items:
            return
        tokens = sum(item.length for item in items)
        self.items += len(items)
        self.tokens += tokens
        if ticket.is_bulk:
            self._bulk_items += len(items)
            self._bulk_tokens += tokens
        ticket.waiting += len(items)
        self._groups.setdefault(ticket.group, []).extend(items)

    def _check(self, count: int, tokens: int, bulk: bool) -> None:
        # An empty queue takes any request, or one larger than the limit could never be served.
        if self.items == 0:
            return
        if self.items + count > self.max_items:
            raise QueueFullError(f"{self.items} items wait, the limit is {self.max_items}; {count} more do not fit")
        if self.tokens + tokens > self.max_tokens:
            raise QueueFullError(
                f"{self.tokens} positions wait, the limit is {self.max_tokens}; {tokens} more do not fit"
            )
        if not bulk:
            return
        for waiting, more, most, unit in (
            (self._bulk_items, count, int(self.max_items * BULK_SHARE), "items"),
            (self._bulk_tokens, tokens, int(self.max_tokens * BULK_SHARE), "positions"),
        ):
            if waiting + more > most:
                raise QueueFullError(
                    f"{waiting} {unit} of large requests wait, the limit is {most}; {more} more do not fit"
                )

    def remove(self, tickets: Collection[Ticket]) -> None:
        """Forget the waiting items of tickets."""
        # Most tickets close with nothing left waiting; looking through the queue for each would cost the batch's time.
        waiting = {ticket for ticket in tickets if ticket.waiting}
        for group in {ticket.group for ticket in waiting}:
            self._take(group, [item for item in self._groups[group] if item.ticket in waiting])

    def tickets(self) -> set[Ticket]:
        return {item.ticket for group in self._groups.values() for item in group}

    def groups(self) -> list[Group]:
        return list(self._groups)

    def next_batch(self, budget: Callable[[Group], int], ready: Callable[[str], bool]) -> list[Item]:
        """Take out the items of the next forward pass: one model, one tower, similar lengths.

        An interactive item leads, of the group that has not run for longest, the oldest there: many clips do not make
        a text wait for more than one batch of theirs. Without one, or where it has been patient long enough, the oldest
        bulk item does.

        Args:
            budget: padded positions for a model and tower; a single longer item goes alone.
            ready: whether a model is loaded; items of others keep waiting.
        """
        heads = [item for (model, _), items in self._groups.items() if ready(model) for item in items]
        interactive = min((i for i in heads if not i.ticket.is_bulk), key=self._turn, default=None)
        bulk = min((i for i in heads if i.ticket.is_bulk), key=_age, default=None)
        head = interactive or bulk
        if head is None:
            return []
        if interactive is not None and bulk is not None and not self._bulk_last:
            waited = time.monotonic() - bulk.ticket.admitted
            if waited > LONGEST_BULK_WAIT_S and _age(bulk) < _age(interactive):
                head = bulk
        self._bulk_last = head.ticket.is_bulk
        group = head.ticket.group
        self._batches += 1
        self._ran[group] = self._batches
        batch = _fill(head, self._groups[group], budget(group))
        self._take(group, batch)
        return batch

    def _turn(self, item: Item) -> tuple[int, float, int]:
        return self._ran.get(item.ticket.group, 0), *_age(item)

    def _take(self, group: Group, taken: list[Item]) -> None:
        gone = set(map(id, taken))
        left = [item for item in self._groups[group] if id(item) not in gone]
        if left:
            self._groups[group] = left
        else:
            del self._groups[group]
        for item in taken:
            self.items -= 1
            self.tokens -= item.length
            if item.ticket.is_bulk:
                self._bulk_items -= 1
                self._bulk_tokens -= item.length
            item.ticket.waiting -= 1


def _items(ticket: Ticket, indexes: Iterable[int]) -> list[Item]:
    request = ticket.request
    arrays = [(index, request.items[index]) for index in indexes]
    return [Item(ticket, index, array, item_length(request.tower, array)) for index, array in arrays]


def _age(item: Item) -> tuple[float, int]:
    return item.ticket.admitted, item.index


def _fill(head: Item, group: list[Item], budget: int) -> list[Item]:
    """Items of a group around the head's length, interactive ones first, whose padded batch fits the budget."""

    def order(item: Item) -> tuple[bool, int]:
        return item.ticket.is_bulk != head.ticket.is_bulk, abs(item.length - head.length)

    batch, longest, tokens = [head], head.length, head.length
    for item in sorted(group, key=order):
        padded = max(longest, item.length) * (len(batch) + 1)
        padding = padded - tokens - item.length
        if item is not head and padded <= budget and padding <= budget * PADDING_SHARE:
            batch.append(item)
            longest, tokens = max(longest, item.length), tokens + item.length
    return sorted(batch, key=lambda item: item.length)
