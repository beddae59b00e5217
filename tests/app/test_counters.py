"""The files of the workers' counters: they have their memory before they are written, and need none to count."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, values

from app import counters
from app.counters import DIRECTORY, AllocatedDict, render_counters, share_between_workers


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of counters, as a worker finds it; the classes of prometheus_client are put back afterwards."""
    monkeypatch.setenv(DIRECTORY, str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setattr(values, "MmapedDict", values.MmapedDict)
    return tmp_path


def has_holes(path: Path) -> bool:
    found = path.stat()
    return found.st_blocks * 512 < found.st_size


def fill(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "posix_fallocate", refuse)


def test_files_have_no_holes_also_when_they_grow(shared: Path) -> None:
    share_between_workers(3)
    counter = Counter("signs", "Signs", ("name",), registry=CollectorRegistry())
    for number in range(4000):
        counter.labels(f"{number:0100}").inc()
    file = shared / "counter_place3.db"
    assert file.stat().st_size > counters._FILE_BYTES
    assert not has_holes(file)
    assert not has_holes(shared / "histogram_place3.db")
    assert render_counters(CollectorRegistry()).count("\nsigns_total{") == 4000


def test_a_counter_without_a_place_is_kept_in_memory(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AllocatedDict(str(shared / "file.db"))
    file.write_value("first", 1.0, 0.0)
    fill(monkeypatch)
    names = ["x" * 400_000, "y" * 400_000]  # the second one needs a larger file
    for number, name in enumerate(names):
        file.write_value(name, 7.0 + number, 0.0)
    assert [file.read_value(name)[0] for name in ("first", *names, "other")] == [1.0, 7.0, 8.0, 0.0]
    assert not has_holes(shared / "file.db")
    file.close()


def test_a_worker_without_room_counts_for_itself(
    shared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(monkeypatch)
    share_between_workers(0)
    registry = CollectorRegistry()
    Counter("signs", "Signs", registry=registry).inc(5)
    assert "signs_total 5.0" in render_counters(registry)
    assert "no room" in caplog.text
    assert not list(shared.iterdir())


def test_a_worker_that_comes_again_counts_on(shared: Path) -> None:
    share_between_workers(1)
    Counter("signs", "Signs", registry=CollectorRegistry()).inc(2)
    share_between_workers(1)
    Counter("signs", "Signs", registry=CollectorRegistry()).inc(3)
    assert "signs_total 5.0" in render_counters(CollectorRegistry())
