"""Addresses that cannot be listened at end a start with a sentence, before anything is started."""

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from app import __main__ as serving
from app import listening
from app.listening import PATIENCE_S, ListeningError, check_addresses


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def taken() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held


def test_a_free_port_is_free_afterwards(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    taken.close()
    check_addresses([("127.0.0.1", port), ("", port), "/run/signclip.sock", 3])
    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_that_is_taken_is_waited_for_and_then_named(taken: socket.socket) -> None:
    clock = Clock()
    port = taken.getsockname()[1]
    with pytest.raises(ListeningError, match=f"port {port} is taken by another program.*--port 8080"):
        check_addresses([("0.0.0.0", port)], clock=clock, sleep=clock.sleep)
    assert clock.now == pytest.approx(PATIENCE_S)


def test_a_port_that_is_given_back_in_time_is_used(taken: socket.socket) -> None:
    clock = Clock()
    check_addresses([taken.getsockname()], clock=clock, sleep=lambda seconds: (clock.sleep(seconds), taken.close()))
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EACCES, "may not open port 80"), (errno.EADDRNOTAVAIL, "SIGNCLIP_HOST")]
)
def test_what_waiting_does_not_help_is_said_at_once(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    monkeypatch.setattr(listening, "_try", lambda *_: OSError(number, os.strerror(number)))
    clock = Clock()
    with pytest.raises(ListeningError, match=words):
        check_addresses([("10.0.0.1", 80)], clock=clock, sleep=clock.sleep)
    assert not clock.slept


def test_serve_starts_nothing_at_a_port_that_is_taken(
    taken: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Also not the process that says what is ready: it would find the other service ready."""
    monkeypatch.setattr(listening, "PATIENCE_S", 0.0)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("gunicorn was started"))
    monkeypatch.setattr(serving.subprocess, "Popen", lambda *_, **__: pytest.fail("the banner was started"))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.chdir(tmp_path)
    assert serving.main(["--host", "127.0.0.1", "--port", str(taken.getsockname()[1])]) == 1
    assert "is taken by another program" in capsys.readouterr().err
