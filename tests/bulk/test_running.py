"""A run on this machine: which thread uses the model, and what is kept where a run is interrupted."""

from __future__ import annotations

import concurrent.futures
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from bulk import running
from bulk.embedding import Embedded, Origin
from bulk.folder import OutputFolder, describe_run
from bulk.interrupts import INTERRUPTS
from bulk.items import Item
from bulk.preparation import Prepared, Task
from bulk.progress import Progress
from bulk.running import LocalRun

ORIGIN = Origin("tiny", "0" * 64, "tiny:0", "tiny-0", "tiny-0", 4)


class UnitModel:
    """Gives every item the same vector, and notes which threads ask for it."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def describe_origin(self) -> Origin:
        return ORIGIN

    def embed_clips(self, items: list[object]) -> Embedded:
        self.threads.add(threading.get_ident())
        return Embedded(np.eye(4, dtype=np.float32)[np.zeros(len(items), dtype=int)], {})

    embed_texts = embed_clips


class ReadyPool:
    """Takes one clip at a time, and has it prepared when it is asked."""

    def __init__(self) -> None:
        self._done: list[tuple[int, Prepared]] = []

    @property
    def has_room(self) -> bool:
        return not self._done

    @property
    def is_idle(self) -> bool:
        return not self._done

    def submit(self, ticket: int, task: Task) -> None:
        self._done.append((ticket, Prepared(np.ones((2, 3), dtype=np.float32))))

    def collect(self, timeout_s: float) -> list[tuple[int, Prepared]]:
        done, self._done = self._done, []
        return done


@pytest.fixture
def folder(tmp_path: Path):
    with OutputFolder(tmp_path / "out", describe_run(ORIGIN, {}, [], source="here")) as opened:
        yield opened


def _list_items(kinds: str) -> list[Item]:
    return [Item(str(number), "text" if kind == "t" else "pose", text="word") for number, kind in enumerate(kinds)]


def test_one_thread_alone_uses_the_model(folder, monkeypatch):
    monkeypatch.setattr(running, "_FRAMES_TOGETHER", 1)
    monkeypatch.setattr(running, "_TEXTS_TOGETHER", 2)
    model = UnitModel()
    LocalRun(folder, model, ReadyPool(), Progress(8, 0)).work(iter(_list_items("cttcttct")))
    assert len(folder.done) == 8
    assert len(model.threads) == 1
    assert threading.get_ident() not in model.threads


@pytest.mark.parametrize("kinds", ["cccc", "tttt"])
def test_a_batch_that_is_embedded_while_the_run_is_interrupted_is_kept(kinds, folder, monkeypatch):
    monkeypatch.setattr(running, "_FRAMES_TOGETHER", 1)
    monkeypatch.setattr(running, "_MOST_FRAMES", 1)
    monkeypatch.setattr(running, "_TEXTS_TOGETHER", 1)
    waits = []

    def wait(futures):
        waits.append(futures)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return concurrent.futures.wait(futures)

    monkeypatch.setattr(running, "wait_for", wait)
    run = LocalRun(folder, UnitModel(), ReadyPool(), Progress(4, 0))
    with pytest.raises(KeyboardInterrupt):
        run.work(iter(_list_items(kinds)))
    assert [name for name in "0123" if name in folder.done] == ["0", "1"]


def test_clips_gather_while_a_batch_is_embedded_but_not_more_than_so_many(folder, monkeypatch):
    monkeypatch.setattr(running, "_FRAMES_TOGETHER", 1)
    monkeypatch.setattr(running, "_MOST_FRAMES", 6)  # of three clips
    model, sizes, goes_on = UnitModel(), [], threading.Event()
    embed = model.embed_clips

    def embed_at_last(clips):
        assert goes_on.wait(60)
        sizes.append(len(clips))
        return embed(clips)

    def wait(futures):  # called when nothing else is left to do but to wait
        goes_on.set()
        return concurrent.futures.wait(futures)

    monkeypatch.setattr(model, "embed_clips", embed_at_last)
    monkeypatch.setattr(running, "wait_for", wait)
    LocalRun(folder, model, ReadyPool(), Progress(9, 0)).work(iter(_list_items("c" * 5)))
    assert sizes == [1, 3, 1]
    assert len(folder.done) == 5


@pytest.fixture
def _interrupts():
    before = signal.getsignal(signal.SIGINT)
    INTERRUPTS.install([signal.SIGINT])
    yield
    signal.signal(signal.SIGINT, before)


class InterruptedPool(ReadyPool):
    """Is interrupted in the middle of its first answer."""

    was_interrupted = False

    def collect(self, timeout_s: float) -> list[tuple[int, Prepared]]:
        done = super().collect(timeout_s)
        if not self.was_interrupted:
            self.was_interrupted = True
            signal.raise_signal(signal.SIGINT)
        return done


@pytest.mark.usefixtures("_interrupts")
def test_an_interrupt_waits_until_what_was_prepared_is_taken(folder):
    run = LocalRun(folder, UnitModel(), InterruptedPool(), Progress(4, 0))
    with pytest.raises(KeyboardInterrupt):
        run.work(iter(_list_items("cccc")))
    assert [name for name in "0123" if name in folder.done] == ["0"]


@pytest.mark.usefixtures("_interrupts")
def test_signals_interrupt_at_once_or_when_the_outermost_block_has_ended():
    passed: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        _be_interrupted_in_two_blocks(passed)
    with INTERRUPTS.hold():
        passed.append("next")
    assert passed == ["inner", "outer", "next"]


def _be_interrupted_in_two_blocks(passed: list[str]) -> None:
    with INTERRUPTS.hold():
        with INTERRUPTS.hold():
            signal.raise_signal(signal.SIGINT)
            passed.append("inner")
        passed.append("outer")
    passed.append("never")


def test_torch_is_not_imported_before_its_threads_are_told_to_sleep():
    rooms = "bulk.__main__, bulk.embedding, bulk.folder, bulk.pool, bulk.running"
    code = f"import sys, {rooms}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
