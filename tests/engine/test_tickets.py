"""Parts of a request: which arrays are whose, however the request holds them."""

import itertools

import numpy as np

from engine.interface import EmbedRequest
from engine.tickets import Ticket, make_part


def test_a_part_lists_the_arrays_of_its_items_however_the_request_holds_them():
    lengths = np.array([2, 3, 1, 4])
    flat = np.arange(10, dtype=np.int32)
    items = np.split(flat, np.cumsum(lengths)[:-1])
    for request in (
        EmbedRequest("m", "text", items),
        EmbedRequest("m", "text", [flat], lengths=lengths),
        EmbedRequest("m", "text", [flat[:4], flat[4:]], lengths=lengths),
        EmbedRequest("m", "text", items, lengths=lengths),
    ):
        for chosen in itertools.product([False, True], repeat=4):
            if any(chosen):
                part = make_part(Ticket(request, print), np.flatnonzero(chosen))
                expected = np.concatenate([item for item, flag in zip(items, chosen, strict=True) if flag])
                np.testing.assert_array_equal(np.concatenate(part.list_arrays()), expected)
                assert part.tokens == len(expected)
