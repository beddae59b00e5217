"""Clients that read slowly or vanish, requests that gather, and states that are read when they change."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engine import messages, statuses
from engine.batcher import Batcher
from engine.connections import Gathering
from engine.interface import EmbedRequest
from engine.server import EngineServer
from engine.statuses import StatusReader
from processes import streams
from processes.streams import MessageStream
from tests.engine.fake_engine import FakeEngine
from tests.engine.fakes import TIMEOUT_S, FakeModels, clip, in_thread, text, texts, until, vector_of


@pytest.fixture
def engine(make_batcher: Callable[..., Batcher], models: FakeModels) -> FakeEngine:
    return FakeEngine(make_batcher(max_items=10_000), models)


@pytest.fixture
def stream(
    engine: FakeEngine, models: FakeModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MessageStream]:
    """A connection to a server whose sockets hold next to nothing."""
    monkeypatch.setattr(streams, "_SOCKET_BYTES", 0)
    server = EngineServer(engine, f"ipc://{tmp_path}/e.sock")  # type: ignore[arg-type]
    finish = in_thread(server.serve)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(f"{tmp_path}/e.sock")
    stream = MessageStream(connection)
    yield stream
    stream.close()
    for model in models.here.values():
        model.gate.set()
    server.stop()
    finish()


def post(stream: MessageStream, number: int, request: EmbedRequest) -> None:
    done = stream.send(messages.pack_embed(number, request))
    until(lambda: done or stream.flush())


def test_a_client_that_reads_late_gets_every_answer(stream: MessageStream, engine: FakeEngine) -> None:
    requests = {n: EmbedRequest("m", "text", [text(n, k) for k in range(8)]) for n in range(1, 301)}
    for number, request in requests.items():
        post(stream, number, request)
    until(lambda: not engine.batcher._open)
    answers = {}
    while len(answers) < len(requests):
        received, is_there = stream.receive()
        assert is_there
        for frames in received:
            if bytes(frames[0]) != messages.STATUS:
                answers |= dict(messages.unpack_results(frames))
    for number, request in requests.items():
        expected = [vector_of("m", "text", item) for item in request.items]
        np.testing.assert_array_equal(answers[number].embeddings, expected)


def test_what_a_client_that_vanished_still_waited_for_costs_no_forward(
    stream: MessageStream, engine: FakeEngine, models: FakeModels
) -> None:
    models.here["m"].close_gate()
    post(stream, 1, EmbedRequest("m", "text", [text(7, 7)]))
    models.here["m"].wait_entered()
    post(stream, 2, EmbedRequest("m", "text", texts(5)))
    until(lambda: engine.batcher.waiting_items == 5)
    stream.close()
    until(lambda: engine.batcher.waiting_items == 0)
    models.here["m"].gate.set()
    until(lambda: not engine.batcher._open)
    assert [item.tolist() for item in models.here["m"].ran] == [[7, 7]]


def test_a_client_that_sends_and_vanishes_at_once_costs_no_forward(
    engine: FakeEngine, models: FakeModels, tmp_path: Path
) -> None:
    server = EngineServer(engine, f"ipc://{tmp_path}/e.sock")  # type: ignore[arg-type]
    for number in (1, 2):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(f"{tmp_path}/e.sock")
        stream = MessageStream(connection)
        # Larger than one read, so that the server sees the end of the connection when it reads the request.
        post(stream, number, EmbedRequest("m", "pose", [clip(8000, number)]))
        if number == 1:
            stream.close()
    finish = in_thread(server.serve)
    until(lambda: bool(models.here["m"].ran))
    stream.close()
    server.stop()
    finish()
    assert [item[0, 0] for item in models.here["m"].ran] == [2]


def test_a_request_that_is_cancelled_in_the_same_message_is_cancelled(
    stream: MessageStream, engine: FakeEngine, models: FakeModels
) -> None:
    models.here["m"].close_gate()
    post(stream, 1, EmbedRequest("m", "text", [text(7, 7)]))
    models.here["m"].wait_entered()
    frames = [messages.pack_embed(2, EmbedRequest("m", "text", texts(2))), messages.pack_cancel(2)]
    both = b"".join(bytes(part) for message in frames for part in streams._frame(message))
    stream._socket.sendall(both)
    until(lambda: len(engine.cancelled) == 1)
    assert engine.batcher.waiting_items == 0


def test_requests_gather_only_while_they_come_fast() -> None:
    gathering = Gathering(0.001)
    assert gathering.get_wait_s() == 0
    gathering.note(1, 100.0)
    assert gathering.get_wait_s() == 0
    for tick in range(1, 60):  # 3000 a second
        gathering.note(3, 100.0 + tick / 1000)
    assert gathering.get_wait_s() == 0.001
    for tick in range(60):  # 500 a second
        gathering.note(1, 101.0 + tick / 500)
    assert gathering.get_wait_s() == 0


def test_states_are_read_when_one_changes_and_now_and_then(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    read = threading.Semaphore(0)
    real = engine.list_statuses

    def count() -> object:
        read.release()
        return real()

    asked = threading.Semaphore(0)

    def count_changes() -> int:
        asked.release()
        return engine.changes

    monkeypatch.setattr(engine, "list_statuses", count)
    monkeypatch.setattr(engine, "count_changes", count_changes)
    monkeypatch.setattr(statuses, "PAUSE_S", 0.001)
    reader = StatusReader(engine)
    reader.start()
    assert read.acquire(timeout=TIMEOUT_S)
    for _ in range(20):
        assert asked.acquire(timeout=TIMEOUT_S)
    assert not read.acquire(blocking=False)
    engine.changes += 1
    assert read.acquire(timeout=TIMEOUT_S)
    monkeypatch.setattr(statuses, "FILES_S", -1.0)
    for _ in range(3):
        assert read.acquire(timeout=TIMEOUT_S)
    reader.stop()
