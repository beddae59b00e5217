"""Models of an engine load one after another in a thread of their own."""

import threading
from typing import Any

from engine.local import _ServedModels
from tests.engine.fakes import TIMEOUT_S, in_thread, until


class SlowRegistry:
    """Loads when the gate opens, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()

    def get(self, name: str) -> None:
        self.asked.append(name)
        assert self.gate.wait(TIMEOUT_S)


def test_a_close_waits_for_the_load_that_runs_and_begins_no_other() -> None:
    registry: Any = SlowRegistry()
    models, ended = _ServedModels(registry), []
    for name in ("first", "second"):
        models.start_loading(name, ended.append)
    until(lambda: registry.asked == ["first"])
    closing = in_thread(models.close)
    until(lambda: models._loader._shutdown)
    registry.gate.set()
    closing()
    assert registry.asked == ["first"]
    assert ended == [None]
