"""A bell between threads: nothing that was there before a ring is ever missed."""

import os
import select
from collections import deque

import pytest

from engine.wakeup import Wakeup
from tests.engine.fakes import TIMEOUT_S, in_thread


@pytest.fixture
def bell():
    bell = Wakeup()
    yield bell
    bell.close()


def is_ringing(bell: Wakeup) -> bool:
    return bool(select.select([bell.fd], [], [], 0)[0])


def test_several_rings_are_one_until_it_is_cleared(bell: Wakeup) -> None:
    for _ in range(3):
        bell.ring()
    assert os.read(bell.fd, 100) == b"."
    bell.clear()
    assert not is_ringing(bell)
    bell.ring()
    assert is_ringing(bell)
    bell.clear()
    assert not is_ringing(bell)


def test_nothing_is_missed(bell: Wakeup) -> None:
    box: deque[int] = deque()

    def put() -> None:
        for number in range(5000):
            box.append(number)
            bell.ring()

    finish = [in_thread(put) for _ in range(4)]
    taken = 0
    while taken < 4 * 5000:
        assert select.select([bell.fd], [], [], TIMEOUT_S)[0], f"{len(box)} wait and nobody rang"
        bell.clear()
        while box:
            box.popleft()
            taken += 1
    for end in finish:
        end()
