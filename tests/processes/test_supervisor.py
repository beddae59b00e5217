"""A supervised process: what reaches it, how it is stopped, what goes with it, and when no other is started."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from processes.stop_signals import SHIELDED_SIGNALS, call_at_stop, shield
from processes.supervisor import ProcessSupervisor
from tests.engine.fakes import until

# Writes its process id when it can be stopped, and `stopped` when it was.
OBEDIENT = """
import os, pathlib, sys, tempfile, threading
sys.path.insert(0, os.getcwd())
from processes.stop_signals import call_at_stop
stop = threading.Event()
call_at_stop(stop.set)
tempfile.mkdtemp()
folder = pathlib.Path(sys.argv[1])
(folder / "part").write_text(str(os.getpid()))
(folder / "part").rename(folder / "pid")
stop.wait()
(folder / "stopped").touch()
"""
STUBBORN = OBEDIENT.replace("stop.wait()", "stop.wait(); threading.Event().wait()")
Make = Callable[..., "Supervisor"]


class Supervisor(ProcessSupervisor):
    """Runs a program that is given a folder; the file `failure` there says that another start would not help."""

    def __init__(self, program: str, folder: Path, failures: list[str], drain_s: float) -> None:
        super().__init__("program", drain_s=drain_s, on_failure=failures.append)
        self.program, self.folder, self.failures = program, folder, failures
        self.starts = 0

    def _build_command(self) -> list[str]:
        self.starts += 1
        return ["-c", self.program, str(self.folder)]

    def _read_failure(self) -> str | None:
        file = self.folder / "failure"
        return file.read_text() if file.exists() else None

    def process(self) -> psutil.Process:
        """The process, once it can be stopped."""
        until((self.folder / "pid").exists)
        return psutil.Process(int((self.folder / "pid").read_text()))


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[Supervisor] = []
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))

    def start(program: str, *, drain_s: float = 20.0) -> Supervisor:
        supervisor = Supervisor(program, tmp_path, [], drain_s)
        made.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in made:
        supervisor.stop()


@pytest.mark.parametrize("number", sorted(SHIELDED_SIGNALS))
def test_signals_sent_to_every_process_do_not_end_it_but_its_supervisor_does(
    make: Make, tmp_path: Path, number: int
) -> None:
    supervisor = make(OBEDIENT)
    process = supervisor.process()
    process.send_signal(number)
    until(lambda: _is_pending(process, number))
    supervisor.stop()
    assert (tmp_path / "stopped").exists()
    assert supervisor.starts == 1
    assert not process.is_running()


def test_its_own_processes_are_shielded_too(make: Make) -> None:
    supervisor = make(
        OBEDIENT.replace("stop.wait()", "import subprocess; subprocess.Popen(['sleep', '60']); stop.wait()")
    )
    process = supervisor.process()
    until(lambda: len(process.children()) == 1)
    (child,) = process.children()
    until(lambda: child.name() == "sleep")
    child.terminate()
    until(lambda: _is_pending(child, signal.SIGTERM))
    child.kill()


def test_what_it_wrote_beside_its_socket_and_among_temporary_files_goes_with_it(make: Make, tmp_path: Path) -> None:
    supervisor = make(OBEDIENT)
    supervisor.process()
    assert list((tmp_path / "tmp").rglob("signclip-*/tmp*"))
    supervisor.stop()
    assert not list((tmp_path / "tmp").iterdir())


def test_one_that_does_not_drain_is_killed(make: Make, tmp_path: Path) -> None:
    supervisor = make(STUBBORN, drain_s=0.2)
    process = supervisor.process()
    supervisor.ask_to_stop()
    started = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - started < 10
    assert not process.is_running()
    assert not (tmp_path / "stopped").exists()


def test_none_is_started_after_the_stop(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = make("pass")

    def wait(pause_s: float) -> bool:
        """Say that there is no stop yet, when it has just come."""
        supervisor.ask_to_stop()
        return False

    monkeypatch.setattr(supervisor._stopping, "wait", wait)
    supervisor._watcher.join(20)
    assert not supervisor._watcher.is_alive()
    before = supervisor.pid
    supervisor.stop()
    assert supervisor.pid == before
    assert not psutil.pid_exists(before or 0)


def test_one_that_cannot_start_is_reported_and_not_started_again(make: Make, tmp_path: Path) -> None:
    supervisor = make("import pathlib, sys; (pathlib.Path(sys.argv[1]) / 'failure').write_text('no such device')")
    supervisor._watcher.join(20)
    assert not supervisor._watcher.is_alive()
    assert supervisor.failures == ["no such device"]
    assert supervisor.starts == 1


def test_signals_that_come_while_others_are_shielded_are_delivered_afterwards() -> None:
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        call_at_stop(lambda: came.append(1))
        with shield():
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            assert not came
        assert came == [1]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_one_process_starts_at_a_time() -> None:
    started, order = threading.Event(), []

    def start() -> None:
        started.set()
        with shield():
            order.append("second")

    with shield():
        thread = threading.Thread(target=start)
        thread.start()
        assert started.wait(20)
        thread.join(0.05)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


def _is_pending(process: psutil.Process, number: int) -> bool:
    """Whether a signal waits to be delivered, because it is blocked; proc(5)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    masks = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    return bool(int(masks["ShdPnd"], 16) & 1 << number - 1)
