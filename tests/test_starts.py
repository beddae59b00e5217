"""Starts that cannot succeed end with a sentence; those that may succeed later wait."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.engine.fakes import until
from tests.running import Service, running, tiny_settings

Start = Callable[..., AbstractContextManager[Service]]


@pytest.fixture
def settings(tiny_weights: Path) -> dict[str, str]:
    return tiny_settings(tiny_weights)


@pytest.fixture
def serve(settings: dict[str, str], tmp_path: Path) -> Start:
    return lambda **options: running(tmp_path, settings, **options)


def last_line(service: Service) -> str:
    """The last line that it writes; all that it says of the reason stands there or in one line of the log."""
    assert service.process.wait(60) == 1, service.log.read_text()
    assert not service.left_behind()
    return service.log.read_text().splitlines()[-1]


def test_without_the_device(serve: Start, settings: dict[str, str]) -> None:
    settings["SIGNCLIP_DEVICE"] = "cuda:99"
    with serve() as service:
        assert last_line(service).startswith("The service cannot start: there is no device 'cuda:99': torch finds ")
        assert "started again" not in service.log.read_text()


def test_with_broken_weights(serve: Start, settings: dict[str, str], tiny_weights: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(tiny_weights, weights)
    file = weights / "tiny" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:10_000])
    settings["SIGNCLIP_WEIGHTS_DIR"] = str(weights)
    with serve() as service:
        assert last_line(service).startswith(f"The service cannot start: {file} cannot be read: ")


def test_weights_that_are_not_there_yet_are_waited_for(
    serve: Start, settings: dict[str, str], tiny_weights: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(tiny_weights, weights)
    file = weights / "tiny" / "model.safetensors"
    whole, part = file.read_bytes(), file.with_suffix(".part")
    file.unlink()
    settings["SIGNCLIP_WEIGHTS_DIR"] = str(weights)
    with serve() as service:
        until(lambda: b"has no weights" in service.ask("/readyz")[2] if service.answers("/healthz") else False)
        part.write_bytes(whole[:10_000])  # a copy that another program makes in place, and that looks broken
        part.rename(file)
        until(lambda: b"cannot be read" in service.ask("/readyz")[2])
        part.write_bytes(whole)
        part.rename(file)
        until(service.ready)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
