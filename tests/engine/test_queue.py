"""The queue's promises, one by one; test_queue_sequences.py holds them under any sequence of calls."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from engine.interface import EmbedRequest
from engine.queue import LONGEST_BULK_WAIT_S, WaitingItems
from engine.tickets import INTERACTIVE_ITEMS, Group, Part, Ticket
from models.catalog import Tower
from processes.errors import QueueFullError
from tests.engine.fakes import Clock, clip, text, texts


@pytest.fixture(autouse=True)
def _nobody_has_waited_long(clock: Clock) -> None:
    """The clock stands at 0 unless a test moves it."""


def waiting(max_items: int = 1000, max_tokens: int = 100_000) -> WaitingItems:
    return WaitingItems(max_items=max_items, max_tokens=max_tokens)


def ticket(lengths: list[int], *, tower: Tower = "text", model: str = "m", admitted: float = 0.0) -> Ticket:
    make: Callable[[int], np.ndarray] = clip if tower == "pose" else lambda length: text(*range(length))
    return Ticket(EmbedRequest(model, tower, [make(length) for length in lengths]), print, admitted=admitted)


def admit(queue: WaitingItems, *args: list[int], **kwargs: object) -> Ticket:
    admitted = ticket(*args, **kwargs)  # type: ignore[arg-type]
    queue.admit(admitted, np.arange(len(admitted.positions)))
    return admitted


def always(_: str) -> bool:
    return True


def upto(budget: int) -> Callable[[Group], int]:
    return lambda _: budget


def owners(batch: list[Part]) -> set[Ticket]:
    return {part.ticket for part in batch}


def lengths_of(batch: list[Part]) -> list[int]:
    return sorted(int(position) for part in batch for position in part.positions)


def indexes_of(batch: list[Part]) -> list[int]:
    return sorted(int(index) for part in batch for index in part.indexes)


def test_the_last_item_that_fits_is_admitted_and_one_more_is_not():
    queue = waiting(max_items=10)
    admit(queue, [1] * 6)
    admit(queue, [1] * 4)
    with pytest.raises(QueueFullError, match=r"10 items wait, the limit is 10; 1 more"):
        admit(queue, [1])
    assert queue.items == 10


def test_the_last_position_that_fits_is_admitted_and_one_more_is_not():
    queue = waiting(max_tokens=20)
    admit(queue, [10])
    with pytest.raises(QueueFullError, match=r"10 positions wait, the limit is 20; 11 more"):
        admit(queue, [11])
    admit(queue, [10])
    assert queue.tokens == 20


def test_a_clip_counts_two_positions_more_than_it_has_frames():
    queue = waiting()
    admit(queue, [5, 6], tower="pose")
    assert queue.tokens == 5 + 6 + 4


def test_a_refused_request_leaves_no_trace():
    queue = waiting(max_items=3)
    admit(queue, [1, 1])
    refused = ticket([1, 1])
    with pytest.raises(QueueFullError):
        queue.admit(refused, np.arange(2))
    assert (queue.items, queue.tokens, refused.waiting) == (2, 2, 0)
    assert refused not in queue.list_tickets()


@pytest.mark.parametrize("limits", [{"max_items": 3}, {"max_tokens": 30}])
def test_an_empty_queue_takes_a_request_beyond_the_limit(limits: dict[str, int]):
    queue = waiting(**limits)
    large = admit(queue, [10] * 20)
    assert queue.items == 20
    with pytest.raises(QueueFullError):
        admit(queue, [1])
    queue.remove([large])
    admit(queue, [10] * 20)


def test_bulk_takes_three_quarters_of_the_items_and_singles_the_rest():
    queue = waiting(max_items=40)
    admit(queue, [1] * 15)
    admit(queue, [1] * 15)
    with pytest.raises(QueueFullError, match=r"30 items of large requests wait, the limit is 30"):
        admit(queue, [1] * (INTERACTIVE_ITEMS + 1))
    for _ in range(10):
        admit(queue, [1])
    with pytest.raises(QueueFullError):
        admit(queue, [1])


def test_bulk_takes_three_quarters_of_the_positions_and_singles_the_rest():
    queue = waiting(max_tokens=400)
    admit(queue, [10] * 15)
    admit(queue, [10] * 15)
    with pytest.raises(QueueFullError, match=r"300 positions of large requests wait, the limit is 300"):
        admit(queue, [1] * (INTERACTIVE_ITEMS + 1))
    admit(queue, [100])


def test_a_first_bulk_request_beyond_its_share_finds_no_place_beside_others():
    queue = waiting(max_items=20)
    admit(queue, [1])
    with pytest.raises(QueueFullError):
        admit(queue, [1] * 16)
    admit(queue, [1] * 15)


def test_the_share_of_bulk_is_free_again_once_it_is_taken_out():
    queue = waiting(max_items=20)
    admit(queue, [1] * 15)
    with pytest.raises(QueueFullError):
        admit(queue, [1] * 9)
    queue.take_batch(upto(9), always)
    admit(queue, [1] * 9)


def test_only_the_items_that_must_run_wait():
    queue = waiting()
    partly = ticket([3, 4, 5])
    queue.admit(partly, np.array([0, 2]))
    assert (queue.items, queue.tokens, partly.waiting) == (2, 8, 2)
    assert indexes_of(queue.take_batch(upto(100), always)) == [0, 2]


def test_nothing_waits_in_an_empty_queue():
    assert waiting().take_batch(upto(100), always) == []


def test_an_item_longer_than_the_budget_goes_alone():
    queue = waiting()
    long = admit(queue, [500], admitted=1)
    admit(queue, [500, 3], admitted=2)
    batch = queue.take_batch(upto(100), always)
    assert [part.ticket for part in batch] == [long]


def test_an_only_item_longer_than_the_budget_goes_too():
    queue = waiting()
    admit(queue, [200], tower="pose")
    assert lengths_of(queue.take_batch(upto(100), always)) == [202]


def test_models_and_towers_never_share_a_batch():
    queue = waiting()
    kinds = list(itertools.product(["a", "b"], ["text", "pose"]))
    for order, (model, tower) in enumerate(kinds * 3):
        admit(queue, [4], model=model, tower=tower, admitted=order)
    batches = [queue.take_batch(upto(1000), always) for _ in kinds]
    assert [batch[0].ticket.group for batch in batches] == kinds  # the oldest item's group first
    assert all(len(batch) == 3 and len({part.ticket.group for part in batch}) == 1 for batch in batches)


def test_groups_take_turns_however_many_items_wait_in_one():
    """32 clips are five batches; a text that comes after them waits for one."""
    queue = waiting()
    for order in range(32):
        admit(queue, [75], tower="pose", admitted=order)
    ran = []
    for order in range(6):
        admit(queue, [8], admitted=100 + order)
        ran.append(queue.take_batch(upto(77 * 6), always)[0].ticket.request.tower)
    assert ran == ["pose", "text"] * 3


def test_a_group_that_ran_out_has_its_turn_still_behind_it():
    queue = waiting()
    text_first = admit(queue, [8], admitted=1)
    clips = [admit(queue, [75], tower="pose", admitted=2 + order) for order in range(4)]
    assert owners(queue.take_batch(upto(77), always)) == {text_first}
    admit(queue, [8], admitted=3)
    admit(queue, [8], model="other", admitted=9)
    leaders = [queue.take_batch(upto(77), always)[0].ticket for _ in range(4)]
    assert [leader.group for leader in leaders[:3]] == [("m", "pose"), ("other", "text"), ("m", "text")]
    assert [leaders[0], leaders[3]] == clips[:2]


def test_items_of_models_that_are_not_loaded_keep_their_place():
    queue = waiting()
    admit(queue, [4], model="slow", admitted=1)
    admit(queue, [4], model="fast", admitted=2)
    assert [i.ticket.request.model for i in queue.take_batch(upto(100), lambda name: name == "fast")] == ["fast"]
    assert queue.take_batch(upto(100), lambda name: name == "fast") == []
    assert [i.ticket.request.model for i in queue.take_batch(upto(100), always)] == ["slow"]


def test_a_batch_takes_the_lengths_nearest_to_the_oldest_item():
    queue = waiting()
    admit(queue, [20], admitted=1)
    admit(queue, [60, 5, 21, 40, 19, 22], admitted=2)
    batch = queue.take_batch(upto(128), always)
    assert lengths_of(batch) == [19, 20, 21, 22]


def test_a_long_clip_does_not_pad_short_ones():
    queue = waiting()
    admit(queue, [10] * 8, tower="pose", admitted=1)
    admit(queue, [200], tower="pose", admitted=2)
    assert lengths_of(queue.take_batch(upto(2048), always)) == [12] * 8
    assert lengths_of(queue.take_batch(upto(2048), always)) == [202]


def test_one_text_waits_behind_at_most_one_batch_of_a_large_request():
    queue = waiting()
    admit(queue, [75] * 256, tower="pose", admitted=1)
    queue.take_batch(upto(2048), always)  # runs while the text arrives
    single = admit(queue, [8], admitted=2)
    assert single in owners(queue.take_batch(upto(2048), always))


def test_one_clip_goes_before_the_large_request_of_its_own_group_and_lets_it_fill_the_batch():
    queue = waiting()
    bulk = admit(queue, [75] * 256, tower="pose", admitted=1)
    single = admit(queue, [75], tower="pose", admitted=2)
    batch = queue.take_batch(upto(77 * 10), always)
    assert owners(batch) == {bulk, single}
    assert sum(map(len, batch)) == 10


def test_bulk_waits_for_singles_until_its_patience_ends_and_then_takes_every_other_batch(clock: Clock):
    queue = waiting()
    bulk = admit(queue, [75] * 20, tower="pose", admitted=clock.now)
    led = []
    for _ in range(6):
        clock.advance(LONGEST_BULK_WAIT_S / 2 + 0.01)
        admit(queue, [8], admitted=clock.now)
        admit(queue, [8], admitted=clock.now)
        led.append(bulk in owners(queue.take_batch(upto(77 * 2), always)))
    assert led == [False, True, False, True, False, True]


def test_bulk_that_is_patient_still_goes_before_nothing_older(clock: Clock):
    queue = waiting()
    single = admit(queue, [8], admitted=clock.now)
    bulk = admit(queue, [75] * 20, tower="pose", admitted=clock.now + 1)
    clock.advance(LONGEST_BULK_WAIT_S + 2)
    assert owners(queue.take_batch(upto(77), always)) == {single}
    assert owners(queue.take_batch(upto(77), always)) == {bulk}


def test_removing_forgets_what_waits_and_nothing_else():
    queue = waiting()
    gone, kept = admit(queue, [3] * 5), admit(queue, [3] * 5)
    other = admit(queue, [3], model="other")
    queue.remove({gone})
    queue.remove({gone, ticket([4])})  # nothing of theirs waits
    assert (queue.items, queue.tokens, gone.waiting, kept.waiting) == (6, 18, 0, 5)
    assert queue.list_tickets() == {kept, other}


def test_a_thousand_waiting_items_cost_less_than_a_hundredth_of_a_batch():
    """The budget is a quarter of a second; what the owner does under the lock must not show beside it."""
    import time

    queue = waiting(max_items=2000)
    lengths = np.random.Generator(np.random.PCG64(0)).integers(3, 64, 1000)
    tickets = [admit(queue, [int(length)], admitted=index) for index, length in enumerate(lengths)]
    spent = []
    while queue.items:
        started = time.process_time()
        batch = queue.take_batch(upto(2048), always)
        queue.remove(owners(batch))
        queue.list_tickets()
        spent.append(time.process_time() - started)
    assert all(t.waiting == 0 for t in tickets)
    assert np.median(spent) < 0.01


def test_equal_items_of_one_ticket_are_separate_items():
    queue = waiting()
    same = texts(1) * 3
    twice = Ticket(EmbedRequest("m", "text", same), print)
    queue.admit(twice, np.arange(3))
    assert indexes_of(queue.take_batch(upto(100), always)) == [0, 1, 2]
