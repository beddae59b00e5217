"""The process that stands by, without its process: what it waits for, and when it gives up."""

import os
import sys
from pathlib import Path

import pytest

from engine import standby
from engine.settings import EngineSettings
from engine.standby import wait_for_arguments


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[EngineSettings]:
    """The settings whose libraries were imported; importing them takes seconds and is tested with the process."""
    imported: list[EngineSettings] = []
    monkeypatch.setattr(standby, "_import_libraries", imported.append)
    monkeypatch.setattr(standby, "_LOOK_S", 0.01)
    return imported


@pytest.mark.parametrize(
    ("line", "arguments"), [('["--address", "ipc:///e.sock"]\n', ["--address", "ipc:///e.sock"]), ("", None)]
)
def test_it_imports_and_gives_the_arguments_that_come(
    imported: list[EngineSettings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    line: str,
    arguments: list[str] | None,
) -> None:
    settings = EngineSettings(weights_dir=tmp_path)
    (tmp_path / "input").write_text(line)
    with (tmp_path / "input").open() as source:
        monkeypatch.setattr(sys, "stdin", source)
        got = wait_for_arguments(["--settings", settings.to_json(), "--parent", str(os.getppid())])
    assert got == arguments
    assert imported == [settings]


def test_it_ends_with_its_supervisor(
    imported: list[EngineSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Its first parent has ended, and nothing ever comes.
    reading, writing = os.pipe()
    with os.fdopen(reading) as source, os.fdopen(writing, "w"):
        monkeypatch.setattr(sys, "stdin", source)
        arguments = ["--settings", EngineSettings(weights_dir=tmp_path).to_json(), "--parent", str(os.getpid())]
        assert wait_for_arguments(arguments) is None
    assert len(imported) == 1
