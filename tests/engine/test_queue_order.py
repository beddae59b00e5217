"""What leaves the queue without padding, late, or for the second time."""

import numpy as np

from engine.interface import EmbedRequest
from engine.running import InFlight, gather
from engine.tickets import Ticket, make_part
from tests.engine.fakes import FakeModel, texts
from tests.engine.test_queue import admit, always, lengths_of, owners, ticket, upto, waiting


def test_a_batch_without_padding_takes_items_of_any_length_in_their_order():
    queue = waiting()
    first = admit(queue, [10, 200, 3], tower="pose", admitted=1)
    second = admit(queue, [90, 5], tower="pose", admitted=2)
    batch = queue.take_batch(upto(12 + 202 + 5 + 92), always, always)
    assert [part.indexes.tolist() for part in batch] == [[0, 1, 2], [0]]
    assert [part.ticket for part in batch] == [first, second]
    assert lengths_of(queue.take_batch(upto(1), always, always)) == [7]
    assert (queue.items, queue.tokens, first.waiting, second.waiting) == (0, 0, 0, 0)


def test_late_tickets_are_found_once_their_deadline_has_come():
    queue = waiting()
    tickets = {}
    for deadline in (5.0, 3.0, None, 9.0):
        tickets[deadline] = Ticket(EmbedRequest("m", "text", texts(1), deadline), print)
        queue.admit(tickets[deadline], np.arange(1))
    assert queue.list_late(2.999) == []
    assert queue.list_late(3.0) == [tickets[3.0]]
    queue.remove([tickets[3.0]])
    assert queue.list_late(4.9) == []
    assert set(queue.list_late(100.0)) == {tickets[5.0], tickets[9.0]}


def test_items_that_wait_again_go_first_whether_or_not_there_is_a_place():
    queue = waiting(max_items=4)
    admit(queue, [3, 3], admitted=2)
    older = ticket([3] * 4, admitted=1)
    queue.admit_again(older, np.arange(4))
    assert queue.items == 6
    assert older in owners(queue.take_batch(upto(6), always))
    assert older.waiting == 2


def test_a_padded_batch_takes_the_lengths_that_are_nearest_to_its_first():
    queue = waiting()
    admit(queue, [20, 80, 21, 78, 19])
    assert lengths_of(queue.take_batch(upto(3 * 21), always)) == [19, 20, 21]
    assert lengths_of(queue.take_batch(upto(2 * 80), always)) == [78, 80]


def test_the_first_batch_is_timed_from_its_beginning():
    running = InFlight()
    batch = gather(FakeModel("m"), [make_part(ticket([3]), np.arange(1))], 0.25)
    running.add(batch)
    assert running.measure_s(0.75) == 0.5
    assert running.end(batch, 0.75) == 0.5
    assert running.measure_s(0.75) == 0.0
