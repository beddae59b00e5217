"""A store that is slow keeps no other request from its turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.services import Services, _PerProcess
from search.entries import Entry
from search.errors import CollectionUnknownError
from tests.processes.turn_tasks import hands_its_turn_on

PAUSE_S = 0.1


class _SlowStore:
    """A store that answers after a while, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def count(self, name: str, *, filter: str = "") -> int:
        threading.Event().wait(PAUSE_S)
        self.asked.append((name, filter))
        return 7

    def list_versions(self, name: str) -> list[int]:
        threading.Event().wait(PAUSE_S)
        raise CollectionUnknownError(name)

    def iterate(self, name: str, *, filter: str = "") -> Iterator[list[Entry]]:
        self.asked.append((name, filter))
        for _ in range(2):
            threading.Event().wait(PAUSE_S)
            yield []


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> _SlowStore:
    """The store that services open."""
    made = _SlowStore()
    monkeypatch.setattr("app.services.open_store", lambda _: made)
    return made


def test_who_waits_for_the_store_lets_others_go_on(app_settings, slow, monkeypatch):
    store, found = Services(app_settings).store, []
    assert hands_its_turn_on(lambda: found.append(store.count("signs", filter="f")), monkeypatch)
    assert hands_its_turn_on(lambda: found.append(list(store.iterate("signs", filter="g"))), monkeypatch)
    assert found == [7, [[], []]]
    assert slow.asked == [("signs", "f"), ("signs", "g")]


@pytest.mark.usefixtures("slow")
def test_what_the_store_raises_reaches_who_asked(app_settings):
    with pytest.raises(CollectionUnknownError):
        Services(app_settings).store.list_versions("signs")


def test_who_waits_for_a_part_that_is_built_lets_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    part: Any = _PerProcess(lambda: threading.Event().wait(PAUSE_S), None)  # type: ignore[type-var]
    assert hands_its_turn_on(part.get, monkeypatch)
