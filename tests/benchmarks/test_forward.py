"""The benchmark of the forward counts each batch in its own time, also where batches overlap."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from benchmarks import measuring
from benchmarks.forward_cases import BATCHES_IN_A_ROW, Forward, make_cases
from benchmarks.measuring import take_turns
from models.catalog import load_catalog


@dataclass
class Clock:
    """Made-up time: `now` of the calling thread, `free` when the device has done all that was begun."""

    now: float = 0.0
    free: float = 0.0


@dataclass
class FakeModel:
    """A model that stages a batch for `host_s`, and then computes it on the device for `device_s`."""

    clock: Clock
    host_s: float
    device_s: float
    config = load_catalog()["default"]

    def begin(self, tower: str, items: object) -> SimpleNamespace:
        self.clock.now += self.host_s
        done = self.clock.free = max(self.clock.free, self.clock.now) + self.device_s

        def wait() -> None:
            self.clock.now = max(self.clock.now, done)

        return SimpleNamespace(wait=wait)

    def encode(self, tower: str, items: object) -> None:
        self.begin(tower, items).wait()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: made.now))
    return made


def test_a_batch_counts_in_its_own_time_and_in_no_other_cases(clock: Clock) -> None:
    """A slow batch that still ran when its call ended would count as the first text's time, and be free itself."""
    models = {
        ("torch", "float32"): FakeModel(clock, host_s=0.06, device_s=0.4),
        ("torch", "tf32"): FakeModel(clock, host_s=0.0002, device_s=0.0005),
    }
    forwards = [
        Forward("torch", "float32", "clips", 2),
        Forward("torch", "float32", "clips", 2, overlapped=True),
        Forward("torch", "tf32", "texts", 1),
    ]
    seconds = take_turns(make_cases(models, forwards), rounds=2, limit_s=60)
    alone, overlapped, text = (seconds[forward.key] / forward.batches for forward in forwards)
    assert alone == pytest.approx(0.46)
    assert text == pytest.approx(0.0007)
    assert overlapped == pytest.approx(0.4 + 0.06 / BATCHES_IN_A_ROW), "staging is hidden but for the first batch"
