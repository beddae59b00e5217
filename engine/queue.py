"""Items that wait for a forward pass: admitted up to an exact limit, taken out in batches of similar length."""

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
# Requests of more items than this are bulk, because no person at a screen waits for the ninth label.
INTERACTIVE_ITEMS = 8
# Bulk requests may fill this share of the queue. The rest stays open for small requests, however much bulk arrives.
BULK_SHARE = 0.75
# A bulk item that has waited this long, in seconds, goes before younger interactive items, every other batch.
LONGEST_BULK_WAIT_S = 2.0
# Most padding in one batch, as a share of its budget. A forward pass of one short text takes about this share of the
# time of a full batch (11 ms of 250 ms, 35 ms with torch). More padding than that costs more than another batch.
PADDING_SHARE = 1 / 16
# [CLS] and [SEP] that the pose tower adds to the frames of a clip.
SPECIAL_POSITIONS = 2


@dataclass(eq=False)
class Ticket:
    """One admitted request on its way. Only a thread that holds the queue's lock may read or change it.

    Attributes:
        deliver: called once, outside the lock, with the answer or with the reason why there is no answer.
        admitted: when it was admitted, in seconds of time.monotonic().
        embeddings: float32 (embed_dim,) by index of the item, so far.
        failures: why an item has no vector, by index of the item, so far.
        cached: how many items came from the text cache.
        waiting: items in the queue.
        running: items in the batch that runs now.
        started: when its first batch began, in seconds of time.monotonic(); None before.
        forward_s: seconds that the batches with its items took.
        digest: SHA-256 of the checkpoint behind the vectors so far, hex.
        dtype: number format of the forward pass behind them.
        over: whether it was answered, refused or cancelled.
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
        """Model and tower; only items of one group run together."""
        return self.request.model, self.request.tower

    @property
    def is_bulk(self) -> bool:
        """Whether it has so many items that interactive requests go first."""
        return len(self.request.items) > INTERACTIVE_ITEMS

    def build_result(self) -> EmbedResult:
        """Build the answer from the vectors and failures of all items."""
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
    """One text or clip of a ticket.

    Attributes:
        index: its place in the request.
        array: text: int32 (tokens,); pose: float32 (frames, features).
        length: positions, with [CLS] and [SEP].
    """

    ticket: Ticket
    index: int
    array: npt.NDArray[Any]
    length: int


def count_positions(tower: Tower, array: npt.NDArray[Any]) -> int:
    """Count the positions that an item takes in a tower, with [CLS] and [SEP].

    Args:
        array: text: int32 (tokens,), in which both are already; pose: float32 (frames, features).
    """
    return len(array) + (SPECIAL_POSITIONS if tower == "pose" else 0)


class WaitingItems:
    """The queue. It has no lock of its own: its owner locks around every call.

    Args:
        max_items: items that may wait at once. A request that does not fit is refused whole.
        max_tokens: positions that may wait at once.

    Attributes:
        items: items that wait now.
        tokens: positions that wait now.
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
        # When each group last ran, counted in batches. There is at most one entry for each model and tower.
        self._ran: dict[Group, int] = {}
        self._batches = 0

    def admit(self, ticket: Ticket, indexes: Iterable[int]) -> None:
        """Let items of a ticket wait.

        Raises:
            QueueFullError: they do not all fit; no item waits.
        """
        items = _make_items(ticket, indexes)
        self._check(len(items), sum(item.length for item in items), ticket.is_bulk)
        self._add(ticket, items)

    def admit_again(self, ticket: Ticket, indexes: Iterable[int]) -> None:
        """Let items of a ticket wait again that was admitted before, whether or not there is a place for them."""
        self._add(ticket, _make_items(ticket, indexes))

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
        # An empty queue admits any request. Otherwise a request that is larger than the limit could never be served.
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
        """Take the waiting items of tickets out of the queue."""
        # Most tickets end with no waiting item. Searching the queue for each of them would cost as much as a batch.
        waiting = {ticket for ticket in tickets if ticket.waiting}
        for group in {ticket.group for ticket in waiting}:
            self._take(group, [item for item in self._groups[group] if item.ticket in waiting])

    def list_tickets(self) -> set[Ticket]:
        """List the tickets with waiting items."""
        return {item.ticket for group in self._groups.values() for item in group}

    def list_groups(self) -> list[Group]:
        """List the groups with waiting items."""
        return list(self._groups)

    def take_batch(self, budget: Callable[[Group], int], is_loaded: Callable[[str], bool]) -> list[Item]:
        """Take out the items of the next forward pass: one model, one tower, similar lengths.

        One item leads, and the others are chosen by it. The leader is the oldest interactive item of the group that has
        not run for longest, so that a text waits for at most one batch of clips, however many clips there are. The
        oldest bulk item leads if there is no interactive item, or if it has waited long enough.

        Args:
            budget: gives the padded positions for a model and tower. A single item that is longer runs alone.
            is_loaded: reports whether a model is loaded. Items of other models go on waiting.
        """
        heads = [item for (model, _), items in self._groups.items() if is_loaded(model) for item in items]
        interactive = min((i for i in heads if not i.ticket.is_bulk), key=self._rank, default=None)
        bulk = min((i for i in heads if i.ticket.is_bulk), key=_rank_by_age, default=None)
        head = interactive or bulk
        if head is None:
            return []
        if interactive is not None and bulk is not None and not self._bulk_last:
            waited = time.monotonic() - bulk.ticket.admitted
            if waited > LONGEST_BULK_WAIT_S and _rank_by_age(bulk) < _rank_by_age(interactive):
                head = bulk
        self._bulk_last = head.ticket.is_bulk
        group = head.ticket.group
        self._batches += 1
        self._ran[group] = self._batches
        batch = _fill(head, self._groups[group], budget(group))
        self._take(group, batch)
        return batch

    def _rank(self, item: Item) -> tuple[int, float, int]:
        return self._ran.get(item.ticket.group, 0), *_rank_by_age(item)

    def _take(self, group: Group, taken: list[Item]) -> None:
        ids = set(map(id, taken))
        left = [item for item in self._groups[group] if id(item) not in ids]
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


def _make_items(ticket: Ticket, indexes: Iterable[int]) -> list[Item]:
    request = ticket.request
    arrays = [(index, request.items[index]) for index in indexes]
    return [Item(ticket, index, array, count_positions(request.tower, array)) for index, array in arrays]


def _rank_by_age(item: Item) -> tuple[float, int]:
    return item.ticket.admitted, item.index


def _fill(head: Item, group: list[Item], budget: int) -> list[Item]:
    """Fill a batch with items of the head's group and of similar length, as far as the padded batch fits the budget.

    Items of the head's kind, interactive or bulk, come first.
    """

    def rank(item: Item) -> tuple[bool, int]:
        return item.ticket.is_bulk != head.ticket.is_bulk, abs(item.length - head.length)

    batch, longest, tokens = [head], head.length, head.length
    for item in sorted(group, key=rank):
        padded = max(longest, item.length) * (len(batch) + 1)
        padding = padded - tokens - item.length
        if item is not head and padded <= budget and padding <= budget * PADDING_SHARE:
            batch.append(item)
            longest, tokens = max(longest, item.length), tokens + item.length
    return sorted(batch, key=lambda item: item.length)
