"""What gunicorn's master does while it reloads."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest
from gunicorn.arbiter import Arbiter

from app.master import Master


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Master:
    """A master of two workers in the middle of a reload: 1 and 2 are old, 3 and 4 are new; 4 has just been lost."""
    made = object.__new__(Master)
    made._num_workers, made.is_reloading, made.replaced_age = 2, True, 2
    made.WORKERS = {100 + age: SimpleNamespace(age=age) for age in (1, 2, 3)}
    made.spawned, made.looked = [], 0

    def spawn(self: Master) -> int:
        age = 4 + len(self.spawned)
        self.spawned.append(age)
        self.WORKERS[100 + age] = SimpleNamespace(age=age)
        return 100 + age

    def look(self: Master) -> None:
        self.looked += 1

    monkeypatch.setattr(Master, "spawn_worker", spawn)
    monkeypatch.setattr(Master, "murder_workers", look)
    monkeypatch.setattr(Arbiter, "reap_workers", lambda self: None)
    return made


def test_a_worker_that_is_lost_while_old_ones_answer_is_replaced(master: Master) -> None:
    master.reap_workers()
    master.reap_workers()
    assert master.spawned == [4]
    assert master.looked == 2  # workers that hang are found, too


def test_nothing_is_started_for_a_master_that_stops(master: Master) -> None:
    master.stops_asked = frozenset({signal.SIGTERM})
    with pytest.raises(StopIteration):
        master.reap_workers()
    assert (master.spawned, master.is_reloading) == ([], False)
    master.reap_workers()
    assert master.spawned == []


def test_a_reload_replaces_the_workers_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    master = object.__new__(Master)
    master.worker_age, seen = 7, []
    monkeypatch.setattr(Arbiter, "reload", lambda self: seen.append((self.is_reloading, self.replaced_age)))
    master.reload()
    assert seen == [(True, 7)]
    assert not master.is_reloading
