"""Items that wait for a forward pass: admitted up to an exact limit, taken out in batches of similar length.

A request's items wait together, as one part of a lane. Nothing here looks at single items but NumPy.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from engine.tickets import Group, Integers, Part, Ticket, make_part
from processes.errors import QueueFullError

# Bulk requests may fill this share of the queue. The rest stays open for small requests, however much bulk arrives.
BULK_SHARE = 0.75
# A bulk item that has waited this long, in seconds, goes before younger interactive items, every other batch.
LONGEST_BULK_WAIT_S = 2.0
# Most padding in one batch, as a share of its budget. A forward pass of one short text takes about this share of the
# time of a full batch (11 ms of 250 ms, 35 ms with torch). More padding than that costs more than another batch.
PADDING_SHARE = 1 / 16

# True for items that are taken.
Choice = npt.NDArray[np.bool_]
# The interactive parts of a group, oldest first, and its bulk parts.
_Lanes = tuple[deque[Part], deque[Part]]


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
        self._groups: dict[Group, _Lanes] = {}
        self._bulk_last = False
        # When each group last ran, counted in batches. There is at most one entry for each model and tower.
        self._ran: dict[Group, int] = {}
        self._batches = 0
        # Not later than the earliest deadline of a ticket that waits. Most batches need not look for late tickets.
        self._earliest_deadline = float("inf")

    def admit(self, ticket: Ticket, indexes: Integers) -> None:
        """Let items of a ticket wait, int64 (items,), ascending.

        Raises:
            QueueFullError: they do not all fit; no item waits.
        """
        if not len(indexes):
            return
        part = make_part(ticket, indexes)
        self._check(len(part), part.tokens, ticket.is_bulk)
        self._open_lane(ticket).append(part)
        self._count(part, 1)

    def admit_again(self, ticket: Ticket, indexes: Integers) -> None:
        """Let items of a ticket wait again, int64 (items,), before others, whether or not there is a place for them."""
        if len(indexes):
            part = make_part(ticket, indexes)
            self._open_lane(ticket).appendleft(part)
            self._count(part, 1)

    def _open_lane(self, ticket: Ticket) -> deque[Part]:
        deadline = ticket.request.deadline
        if deadline is not None:
            self._earliest_deadline = min(self._earliest_deadline, deadline)
        lanes = self._groups.get(ticket.group)
        if lanes is None:
            lanes = self._groups[ticket.group] = deque(), deque()
        return lanes[ticket.is_bulk]

    def _count(self, part: Part, sign: int) -> None:
        count, tokens = sign * len(part), sign * part.tokens
        self.items += count
        self.tokens += tokens
        if part.ticket.is_bulk:
            self._bulk_items += count
            self._bulk_tokens += tokens
        part.ticket.waiting += count

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
            for lane in self._groups[group]:
                removed = [part for part in lane if part.ticket in waiting]
                if removed:
                    left = [part for part in lane if part.ticket not in waiting]
                    lane.clear()
                    lane.extend(left)
                for part in removed:
                    self._count(part, -1)
            self._drop_if_empty(group)

    def list_tickets(self) -> set[Ticket]:
        """List the tickets with waiting items."""
        return {part.ticket for lanes in self._groups.values() for part in chain(*lanes)}

    def list_late(self, now: float) -> list[Ticket]:
        """List the waiting tickets whose deadline is not after `now`, in seconds of time.monotonic()."""
        if now < self._earliest_deadline:
            return []
        deadlines = [(ticket, ticket.request.deadline) for ticket in self.list_tickets()]
        known = [(ticket, deadline) for ticket, deadline in deadlines if deadline is not None]
        self._earliest_deadline = min((deadline for _, deadline in known if deadline > now), default=float("inf"))
        return [ticket for ticket, deadline in known if deadline <= now]

    def list_groups(self) -> list[Group]:
        """List the groups with waiting items."""
        return list(self._groups)

    def take_batch(
        self,
        budget: Callable[[Group], int],
        is_loaded: Callable[[str], bool],
        packs: Callable[[str], bool] = lambda _: False,
    ) -> list[Part]:
        """Take out the items of the next forward pass: one model, one tower, similar lengths.

        One item leads, and the others are chosen by it. The leader is the oldest interactive item of the group that has
        not run for longest, so that a text waits for at most one batch of clips, however many clips there are. The
        oldest bulk item leads if there is no interactive item, or if it has waited long enough.

        Args:
            budget: gives the positions for a model and tower, with padding. A single item that is longer runs alone.
            is_loaded: reports whether a model is loaded. Items of other models go on waiting.
            packs: reports whether a model's batches have no padding. Then their items may have any length.
        Returns:
            parts in the order of the lanes; empty if no item of a loaded model waits.
        """
        head = self._find_head(is_loaded)
        if head is None:
            return []
        is_bulk = self._bulk_last = head.ticket.is_bulk
        group = head.ticket.group
        self._batches += 1
        self._ran[group] = self._batches
        lanes = self._groups[group]
        # Items of the head's kind, interactive or bulk, come first.
        parts = [*lanes[is_bulk], *lanes[not is_bulk]]
        fill = _fill_packed if packs(group[0]) else _fill_padded
        chosen = fill(parts, len(lanes[is_bulk]), budget(group))
        batch = parts if chosen is None else list(_choose(parts, chosen))
        for lane in lanes:
            lane.clear()
        if chosen is not None:
            for part in _choose(parts, ~chosen):
                lanes[part.ticket.is_bulk].append(part)
        for part in batch:
            self._count(part, -1)
        self._drop_if_empty(group)
        return batch

    def _find_head(self, is_loaded: Callable[[str], bool]) -> Part | None:
        """Find the part whose first item leads the next batch."""
        loaded = [lanes for (model, _), lanes in self._groups.items() if is_loaded(model)]
        interactive = min((lane[0] for lane, _ in loaded if lane), key=self._rank, default=None)
        bulk = min((lane[0] for _, lane in loaded if lane), key=_rank_by_age, default=None)
        if interactive is None or bulk is None:
            return interactive or bulk
        if not self._bulk_last:
            waited_s = time.monotonic() - bulk.ticket.admitted
            if waited_s > LONGEST_BULK_WAIT_S and _rank_by_age(bulk) < _rank_by_age(interactive):
                return bulk
        return interactive

    def _rank(self, part: Part) -> tuple[int, float]:
        return self._ran.get(part.ticket.group, 0), part.ticket.admitted

    def _drop_if_empty(self, group: Group) -> None:
        if not any(self._groups[group]):
            del self._groups[group]


def _rank_by_age(part: Part) -> float:
    return part.ticket.admitted


def _choose(parts: list[Part], chosen: Choice) -> Iterator[Part]:
    """Choose items of parts, bool (items of all parts,)."""
    start = 0
    for part in parts:
        flags = chosen[start : start + len(part)]
        start += len(part)
        if flags.all():
            yield part
        elif flags.any():
            yield part.choose(flags)


def _fill_packed(parts: list[Part], first: int, budget: int) -> Choice | None:  # noqa: ARG001
    """Choose as many items, in their order, as fit the budget; at least one. None: all of them."""
    if sum(part.tokens for part in parts) <= budget:
        return None
    positions = np.concatenate([part.positions for part in parts])
    chosen: Choice = np.cumsum(positions) <= budget
    chosen[0] = True
    return chosen


def _fill_padded(parts: list[Part], first: int, budget: int) -> Choice | None:
    """Choose items of lengths near to the first one's, as far as the padded batch fits the budget.

    Args:
        first: so many parts are of the first one's kind, and their items come before the others.
    Returns:
        bool (items of all parts,); None: all of them.
    """
    longest = max(part.longest for part in parts)
    count = sum(map(len, parts))
    padding = longest * count - sum(part.tokens for part in parts)
    if count == 1 or (longest * count <= budget and padding <= budget * PADDING_SHARE):
        return None
    positions = np.concatenate([part.positions for part in parts])
    is_other = np.arange(count) >= sum(map(len, parts[:first]))
    chosen = np.zeros(count, dtype=bool)
    chosen[0] = True
    # Items of one length and kind are taken or left together, up to a number that can be computed.
    rank = (is_other * (2 * longest + 2) + np.abs(positions - positions[0])) * (longest + 1) + positions
    order = np.argsort(rank[1:], kind="stable") + 1
    starts = np.flatnonzero(np.diff(rank[order], prepend=-1))
    ends = [*starts[1:].tolist(), len(order)]
    size, tokens, widest = 1, int(positions[0]), int(positions[0])
    for start, end in zip(starts.tolist(), ends, strict=True):
        length = int(positions[order[start]])
        most = _count_fitting(length, size=size, tokens=tokens, widest=widest, budget=budget)
        taken = min(end - start, most)
        if taken > 0:
            chosen[order[start : start + taken]] = True
            size, tokens, widest = size + taken, tokens + taken * length, max(widest, length)
    return chosen


def _count_fitting(length: int, *, size: int, tokens: int, widest: int, budget: int) -> int:
    """Count how many more items of a length fit into a batch of `size` items with `tokens` positions."""
    width = max(widest, length)
    by_budget = budget // width - size
    spare = int(budget * PADDING_SHARE) - (width * size - tokens)
    if width == length:
        return by_budget if spare >= 0 else 0
    return min(by_budget, spare // (width - length))
