"""The client of an engine where the system gives it nothing, or the engine says nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine import client as client_module
from engine.batcher import Batcher
from engine.client import EngineClient
from engine.server import EngineServer
from processes.errors import EngineStoppedError
from tests.engine.fake_engine import FakeEngine
from tests.engine.fakes import FakeModels, in_thread, until
from tests.processes.turn_tasks import hands_its_turn_on


@pytest.fixture
def address(tmp_path: Path, make_batcher: Callable[..., Batcher], models: FakeModels) -> Iterator[str]:
    """Serve an engine, and give out its address."""
    address = f"ipc://{tmp_path}/engine.sock"
    server = EngineServer(FakeEngine(make_batcher(), models), address)  # type: ignore[arg-type]
    finish = in_thread(server.serve)
    yield address
    server.stop()
    finish()


def test_a_client_without_a_descriptor_connects_once_one_is_free(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[int] = []

    def refuse(*_: object) -> socket.socket:
        refused.append(1)
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        client = EngineClient(address)
        until(lambda: len(refused) > 1)
    until(lambda: client.get_readiness().ready)
    client.close()


@pytest.mark.parametrize("question", [EngineClient.export_metrics, EngineClient.list_statuses])
def test_who_waits_for_an_engine_that_says_nothing_lets_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: Callable[[EngineClient], object]
) -> None:
    monkeypatch.setattr(client_module, "METRICS_S", 0.1)
    monkeypatch.setattr(client_module, "FIRST_STATUS_S", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        client = EngineClient(f"ipc://{tmp_path}/silent.sock")
        until(lambda: client._stream is not None)

        def ask() -> None:
            with suppress(EngineStoppedError):
                question(client)

        assert hands_its_turn_on(ask, monkeypatch)
        client.close()
