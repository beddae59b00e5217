"""Processes that hang are killed and started again; how a process ended is known whoever collected it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from processes import heartbeat, stopped, supervisor
from processes.heartbeat import Heartbeat, HeartbeatWatch
from processes.stopped import StoppedWatch
from processes.supervisor import ProcessSupervisor
from tests.engine.fakes import until

BEATING = """
import os, pathlib, sys, threading
sys.path.insert(0, os.getcwd())
from processes import heartbeat
heartbeat._PAUSE_S = 0.05
pathlib.Path(sys.argv[2], str(os.getpid())).touch()
pulse = heartbeat.Heartbeat(sys.argv[1])
while os.getppid() == int(sys.argv[4]):
    pulse.beat()
    threading.Event().wait(0.02)
"""


class Beating(ProcessSupervisor):
    """Runs a process that shows signs of life; each one leaves a file of its process id."""

    def __init__(self, folder: Path) -> None:
        super().__init__("beating", drain_s=0.1)
        self.folder = folder

    def _build_command(self) -> list[str]:
        return ["-c", BEATING, self.socket_path, str(self.folder)]

    def pids(self) -> list[int]:
        """Process ids of all that were started."""
        return [int(file.name) for file in self.folder.iterdir()]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "SILENCE_S", 0.5)
    monkeypatch.setattr(supervisor, "_LOOK_S", 0.05)


def test_a_process_that_was_stopped_is_killed_and_another_one_takes_its_place(
    tmp_path: Path, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    beating = Beating(tmp_path)
    beating.start()
    try:
        beat = Path(f"{beating.socket_path}.beat")
        until(beat.exists)
        (first,) = beating.pids()
        os.kill(first, signal.SIGSTOP)
        until(lambda: len(beating.pids()) == 2)
        assert not psutil.pid_exists(first)
        until(beat.exists)
        assert beating.pid in beating.pids()
    finally:
        beating.stop()
    assert "shows no sign of life" in caplog.text
    assert [record.exit_code for record in caplog.records if hasattr(record, "exit_code")] == [-9]


def test_a_stopped_process_that_shows_no_sign_of_life_anyway_is_killed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "_LOOK_S", 0.05)
    monkeypatch.setattr(stopped, "PATIENCE_S", 0.3)
    beating = Beating(tmp_path)
    beating.start()
    try:
        until(lambda: bool(beating.pids()))
        (first,) = beating.pids()
        os.kill(first, signal.SIGSTOP)
        until(lambda: len(beating.pids()) == 2)
    finally:
        beating.stop()
    assert "was stopped by a signal" in caplog.text


def test_a_process_that_goes_on_in_time_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(stopped.time, "monotonic", lambda: now[0])
    watch = StoppedWatch()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        try:
            for patience, found in ((2.0, False), (2.0, True)):
                os.kill(process.pid, signal.SIGSTOP)
                until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
                assert not watch.find([process.pid, 2**30])
                now[0] += patience
                assert not watch.find([process.pid])
                now[0] += 2.0 if found else 0.0
                assert bool(watch.find([process.pid])) is found
                os.kill(process.pid, signal.SIGCONT)
                until(lambda: psutil.Process(process.pid).status() != psutil.STATUS_STOPPED)
                assert not watch.find([process.pid])
        finally:
            process.kill()


def test_how_a_process_ended_is_known_although_another_part_collected_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Gunicorn's master collects every child; for two of four killed engines the log said 0."""
    beating = Beating(tmp_path)
    beating._spawn()
    process = beating._process
    assert process is not None
    until(lambda: bool(beating.pids()))
    process.kill()
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    beating.note_exit()
    assert os.waitpid(-1, 0)[0] == process.pid
    beating._stopping.set()
    with caplog.at_level(logging.ERROR):
        assert beating._wait_for(process) == -9
    beating.note_exit()
    beating.stop()


def test_one_that_never_beat_and_a_watcher_that_slept_are_no_silence(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    path = str(tmp_path / "socket")
    watch = HeartbeatWatch(path)
    for _ in range(5):
        now[0] += 1
        assert not watch.is_silent()
    Heartbeat(path).beat()
    assert not watch.is_silent()
    now[0] += 60  # the whole machine, or the watcher, was stopped
    assert not watch.is_silent()
    now[0] += 0.4
    assert not watch.is_silent()
    now[0] += 0.4
    assert watch.is_silent()
    watch.forget()
    assert not watch.is_silent()
