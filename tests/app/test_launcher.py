"""What is started beside the web workers."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from app import launcher
from app.settings import ServiceSettings
from engine.settings import EngineSettings
from models.catalog import Catalog


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of the processes that would have been started."""
    commands: list[list[str]] = []
    monkeypatch.setattr(launcher, "_demos", [])

    def start(command: list[str], **options: Any) -> None:
        assert options["start_new_session"]
        commands.append(command)

    monkeypatch.setattr(subprocess, "Popen", start)
    return commands


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (("127.0.0.1", 3999), "http://127.0.0.1:3999"),
        (("0.0.0.0", 80), "http://127.0.0.1:80"),
        (("::", 3030, 0, 0), "http://[::1]:3030"),
        (("fe80::1", 3030, 0, 2), "http://[fe80::1]:3030"),
    ],
)
def test_the_demonstration_calls_the_address_at_which_the_server_listens(
    commands: list[list[str]], address: tuple[Any, ...], url: str
) -> None:
    launcher.start_demo(address)
    assert [command[1:] for command in commands] == [["-m", "dictionary", "demo", "--url", url]]


def test_the_demonstration_is_left_out_where_its_command_is_not(
    commands: list[list[str]], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The image brings what a service runs on, and no commands of dictionaries (.dockerignore)."""
    monkeypatch.setattr(launcher, "_ROOT", tmp_path)
    launcher.start_demo(("0.0.0.0", 3030))
    assert commands == []
    assert "signclip dictionary demo --url URL` in a checkout" in caplog.text


def test_the_demonstration_is_left_out_behind_a_unix_socket(
    commands: list[list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    launcher.start_demo("/run/signclip.sock")
    assert commands == []
    assert "needs a TCP port" in caplog.text


@pytest.mark.parametrize("is_there", [True, False])
def test_the_log_says_that_the_folder_of_weights_is_not_there(
    is_there: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_catalogs", "_folders"):
        monkeypatch.setattr(launcher, name, [])
    monkeypatch.setattr(launcher, "_for_workers", {})
    monkeypatch.setattr("atexit.register", lambda *given: None)
    folder = tmp_path if is_there else tmp_path / "mistyped"
    elsewhere = ServiceSettings(
        engine=EngineSettings(weights_dir=folder), engine_address="ipc:///elsewhere", estimator_address="ipc:///there"
    )
    launcher.start(elsewhere, catalog=Catalog({}))
    launcher.stop()
    told = [record.__dict__["weights_dir"] for record in caplog.records if hasattr(record, "weights_dir")]
    assert told == ([] if is_there else [str(folder)])
