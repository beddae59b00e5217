"""The client of an engine where the system gives it nothing, or the engine says nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.batcher import Batcher
from engine.client import EngineClient
from engine.server import EngineServer
from tests.engine.fake_engine import FakeEngine
from tests.engine.fakes import FakeModels, in_thread, until


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
