"""The queue against a brute-force twin that recounts everything, over any sequence of calls."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from engine import queue as engine_queue
from engine.interface import EmbedRequest
from engine.queue import BULK_SHARE, LONGEST_BULK_WAIT_S, PADDING_SHARE, WaitingItems
from engine.tickets import INTERACTIVE_ITEMS, Ticket
from processes.errors import QueueFullError
from tests.engine.fakes import Clock

MAX_ITEMS, MAX_TOKENS = 30, 200
Place = tuple[Ticket, int]


class QueueAgainstTwin(RuleBasedStateMachine):
    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self._time = engine_queue.time
        engine_queue.time = self.clock  # type: ignore[assignment]
        self.queue = WaitingItems(max_items=MAX_ITEMS, max_tokens=MAX_TOKENS)
        self.places: list[Place] = []
        self.bulk_led = False
        self.ran: list[tuple[str, str]] = []

    def teardown(self) -> None:
        engine_queue.time = self._time

    @rule(
        target=tickets,
        model=st.sampled_from("ab"),
        tower=st.sampled_from(["text", "pose"]),
        lengths=st.lists(st.integers(1, 25), min_size=1, max_size=14) | st.lists(st.just(9), min_size=9, max_size=40),
        patience=st.none() | st.sampled_from([0.005, 1.0, 5.0]),
        data=st.data(),
    )
    def admit(self, model, tower, lengths, patience, data) -> Ticket:
        items = [np.zeros((length, 1) if tower == "pose" else length) for length in lengths]
        self.clock.advance(1e-6)  # requests of the very same moment may go in any order
        deadline = None if patience is None else self.clock.now + patience
        ticket = Ticket(EmbedRequest(model, tower, items, deadline), print, admitted=self.clock.now)
        indexes = sorted(data.draw(st.lists(st.sampled_from(range(len(items))), min_size=1, unique=True)))
        more = [(ticket, index) for index in indexes]
        try:
            self.queue.admit(ticket, np.array(indexes))
        except QueueFullError:
            assert not self.fits(more)
            assert ticket.waiting == 0
        else:
            assert self.fits(more)
            self.places += more
        return ticket

    def fits(self, more: list[Place]) -> bool:
        if not self.places:
            return True
        after = self.places + more
        bulk = [place for place in after if is_bulk(place)]
        return (
            len(after) <= MAX_ITEMS
            and sum(map(length_of, after)) <= MAX_TOKENS
            and (
                not is_bulk(more[0])
                or (len(bulk) <= MAX_ITEMS * BULK_SHARE and sum(map(length_of, bulk)) <= MAX_TOKENS * BULK_SHARE)
            )
        )

    @rule(gone=st.lists(consumes(tickets), max_size=3))
    def remove(self, gone) -> None:
        self.queue.remove(set(gone))
        self.places = [place for place in self.places if place[0] not in gone]

    @rule(seconds=st.sampled_from([0.01, LONGEST_BULK_WAIT_S * 1.5]))
    def wait(self, seconds) -> None:
        self.clock.advance(seconds)

    @rule(budget=st.integers(1, 80), ready=st.sets(st.sampled_from("ab"), min_size=1), packs=st.booleans())
    def next_batch(self, budget, ready, packs) -> None:
        batch = self.queue.take_batch(lambda group: budget, ready.__contains__, lambda name: packs)
        taken = [(part.ticket, int(index)) for part in batch for index in part.indexes]
        candidates = [place for place in self.places if place[0].request.model in ready]
        assert bool(taken) == bool(candidates)
        assert set(taken) <= set(candidates)
        assert len(set(taken)) == len(taken)
        if not taken:
            return
        head = self.expected_head(candidates)
        assert taken[0] == head
        assert {place[0].group for place in taken} == {head[0].group}
        for part in batch:
            lengths = [length_of((part.ticket, int(index))) for index in part.indexes]
            assert part.positions.tolist() == lengths
            assert (part.tokens, part.longest) == (sum(lengths), max(lengths))
        left = [p for p in candidates if p not in taken and p[0].group == head[0].group]
        lengths = list(map(length_of, taken))
        if packs:
            # Those of the head's kind first, each kind in the order it came.
            in_order = sorted([*taken, *left], key=lambda place: (is_bulk(place) != is_bulk(head), age_of(place)))
            assert taken == in_order[: len(taken)]
            assert len(taken) == 1 or sum(lengths) <= budget
            assert not left or sum(lengths) + length_of(in_order[len(taken)]) > budget
        else:
            assert_full(lengths, list(map(length_of, left)), budget)
        self.bulk_led = is_bulk(head)
        self.ran.append(head[0].group)
        self.places = [place for place in self.places if place not in taken]

    @rule()
    def look_for_late_tickets(self) -> None:
        now = self.clock.now
        late = {ticket for ticket, _ in self.places if ticket.request.deadline is not None}
        assert set(self.queue.list_late(now)) == {t for t in late if (t.request.deadline or 0) <= now}

    def expected_head(self, candidates: list[Place]) -> Place:
        def turn(place: Place) -> tuple[int, float, int]:
            group = place[0].group
            last = len(self.ran) - self.ran[::-1].index(group) if group in self.ran else 0
            return last, *age_of(place)

        interactive = min((p for p in candidates if not is_bulk(p)), key=turn, default=None)
        bulk = min(filter(is_bulk, candidates), key=age_of, default=None)
        if interactive is None or bulk is None:
            head = interactive or bulk
            assert head is not None
            return head
        late = self.clock.now - bulk[0].admitted > LONGEST_BULK_WAIT_S
        return bulk if late and age_of(bulk) < age_of(interactive) and not self.bulk_led else interactive

    @invariant()
    def counts_are_those_of_the_twin(self) -> None:
        assert self.queue.items == len(self.places)
        assert self.queue.tokens == sum(map(length_of, self.places))
        assert self.queue.list_tickets() == {ticket for ticket, _ in self.places}
        assert set(self.queue.list_groups()) == {ticket.group for ticket, _ in self.places}
        for ticket in {ticket for ticket, _ in self.places}:
            assert ticket.waiting == sum(place[0] is ticket for place in self.places)


def is_bulk(place: Place) -> bool:
    return len(place[0].request.items) > INTERACTIVE_ITEMS


def length_of(place: Place) -> int:
    ticket, index = place
    return len(ticket.request.items[index]) + (2 if ticket.request.tower == "pose" else 0)


def age_of(place: Place) -> tuple[float, int]:
    return place[0].admitted, place[1]


def assert_full(lengths: list[int], left: list[int], budget: int) -> None:
    """The batch fits, and none of those left behind would have fitted too."""

    def fits(lengths: list[int]) -> bool:
        padded = max(lengths) * len(lengths)
        return padded <= budget and padded - sum(lengths) <= budget * PADDING_SHARE

    assert len(lengths) == 1 or fits(lengths)
    assert not any(fits([*lengths, length]) for length in left)


TestQueueAgainstTwin = QueueAgainstTwin.TestCase
TestQueueAgainstTwin.settings = settings(max_examples=60, stateful_step_count=30)
