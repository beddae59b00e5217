"""A batch waits for those whom the last one answered: for all of them, not for long, and never on an idle engine."""

from collections.abc import Callable

import pytest

from engine.batcher import Batcher
from engine.linger import SHARE, Linger
from engine.queue import Group
from engine.settings import EngineSettings
from tests.engine.fakes import FakeModels, assert_right, block, clip, in_thread, send, texts

GROUP: Group = ("m", "text")
OTHER: Group = ("m", "pose")


@pytest.fixture
def answered() -> Linger:
    """At 100 s, a batch of 2 s that answered three requests has ended; 50 positions fill the next."""
    made = Linger()
    made.note_batch(3, group=GROUP, full_tokens=50, seconds=2.0, now=100.0)
    return made


def test_it_lasts_a_share_of_the_last_batch(answered: Linger) -> None:
    assert answered.compute_left_s([GROUP], 10, 100.0) == pytest.approx(2.0 * SHARE)
    assert answered.compute_left_s([GROUP], 10, 100.1) == pytest.approx(2.0 * SHARE - 0.1)
    assert answered.compute_left_s([GROUP], 10, 100.0 + 2.1 * SHARE) == 0


def test_it_ends_when_as_many_have_come_as_were_answered(answered: Linger) -> None:
    for _ in range(3):
        assert answered.compute_left_s([GROUP], 10, 100.0) > 0
        answered.note_arrival(GROUP)
    assert answered.compute_left_s([GROUP], 10, 100.0) == 0


def test_neither_an_empty_queue_nor_a_full_batch_waits(answered: Linger) -> None:
    assert answered.compute_left_s([], 0, 100.0) == 0
    assert answered.compute_left_s([GROUP], 50, 100.0) == 0
    assert Linger().compute_left_s([GROUP], 10, 0.0) == 0


def test_another_group_has_its_turn_meanwhile(answered: Linger) -> None:
    assert answered.compute_left_s([GROUP, OTHER], 10, 100.0) == 0
    assert answered.compute_left_s([OTHER], 10, 100.0) == 0
    for _ in range(3):
        answered.note_arrival(OTHER)
    assert answered.compute_left_s([GROUP], 10, 100.0) > 0


def test_it_lasts_until_all_could_be_back_but_no_longer_than_the_batch() -> None:
    linger = Linger(return_s=0.1)
    linger.note_batch(10, group=GROUP, full_tokens=50, seconds=2.0, now=0.0)
    assert linger.compute_left_s([GROUP], 10, 0.0) == pytest.approx(1.0)
    linger.note_batch(30, group=GROUP, full_tokens=50, seconds=2.0, now=0.0)
    assert linger.compute_left_s([GROUP], 10, 0.0) == pytest.approx(2.0)
    none = Linger(0.0, return_s=0.1)
    none.note_batch(10, group=GROUP, full_tokens=50, seconds=2.0, now=0.0)
    assert none.compute_left_s([GROUP], 10, 0.0) == 0


def test_more_cores_bring_requests_back_sooner_and_a_gpu_waits_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.settings.count_cores", lambda: 2)
    two = EngineSettings().choose_return_s("cpu")
    monkeypatch.setattr("engine.settings.count_cores", lambda: 16)
    assert EngineSettings().choose_return_s("cpu") == pytest.approx(two / 8)
    assert EngineSettings().choose_return_s("cuda") == 0


def test_it_can_be_ended(answered: Linger) -> None:
    answered.end()
    assert answered.compute_left_s([GROUP], 10, 100.0) == 0


def test_who_was_answered_comes_into_the_next_batch(make_batcher: Callable[..., Batcher], models: FakeModels) -> None:
    batcher = make_batcher(linger=Linger(1e6))
    first = block(batcher, models)
    meanwhile = send(batcher, texts(1))
    models.here["m"].gate.set()
    first.wait()
    back = send(batcher, texts(1, first=2000))
    assert_right(meanwhile)
    assert_right(back)
    assert [len(items) for _, items in models.here["m"].batches] == [1, 2]


def test_nobody_waits_for_those_who_do_not_come(make_batcher: Callable[..., Batcher], models: FakeModels) -> None:
    batcher = make_batcher(linger=Linger(1e-3))
    first = block(batcher, models)
    meanwhile = send(batcher, texts(1))
    models.here["m"].gate.set()
    assert_right(first)
    assert_right(meanwhile)


def test_a_full_batch_and_a_stop_wait_for_nobody(make_batcher: Callable[..., Batcher], models: FakeModels) -> None:
    batcher = make_batcher(linger=Linger(1e6))
    first = block(batcher, models)
    full = send(batcher, [clip(62)], tower="pose")  # the budget of the fixture is 64 positions
    models.here["m"].gate.set()
    assert_right(first)
    assert_right(full)
    second = block(batcher, models)
    waiting = send(batcher, texts(1))
    models.here["m"].gate.set()
    assert_right(second)
    finish = in_thread(batcher.stop)
    assert_right(waiting)
    finish()
