"""A server and its clients over a real socket: no answer reaches the wrong request, and nobody waits in vain."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import client as client_module
from engine import server as server_module
from engine.batcher import Batcher
from engine.client import EngineClient
from engine.interface import EmbedRequest, Readiness
from engine.server import EngineServer
from models.errors import WeightsMissingError
from processes.errors import CancelledError, DeadlineExceededError, EngineStoppedError, QueueFullError
from processes.streams import MessageStream
from tests.engine.fake_engine import FakeEngine
from tests.engine.fakes import TIMEOUT_S, FakeModels, clip, in_thread, text, texts, until, vector_of


@pytest.fixture
def engine(make_batcher: Callable[..., Batcher], models: FakeModels) -> FakeEngine:
    return FakeEngine(make_batcher(max_items=50), models)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/e.sock"


@pytest.fixture
def server(engine: FakeEngine, models: FakeModels, address: str) -> Iterator[EngineServer]:
    server = EngineServer(engine, address)  # type: ignore[arg-type]
    finish = in_thread(server.serve)
    yield server
    for model in models.here.values():
        model.gate.set()
    server.stop()
    finish()


def connected(address: str) -> EngineClient:
    client = EngineClient(address)
    until(lambda: client.get_readiness().ready)
    return client


@pytest.fixture
def client(server: EngineServer, address: str) -> Iterator[EngineClient]:
    client = connected(address)
    yield client
    client.close()


def request(*items: Any, model: str = "m", deadline_s: float | None = None) -> EmbedRequest:
    tower = "text" if items[0].ndim == 1 else "pose"
    return EmbedRequest(model, tower, list(items), None if deadline_s is None else time.monotonic() + deadline_s)


def test_vectors_are_those_of_the_engine_to_the_bit(client: EngineClient) -> None:
    for items in (texts(3), [clip(4, 1.5), clip(2, 2.5)]):
        wanted = request(*items)
        result = client.embed(wanted)
        for item, vector in zip(items, result.embeddings, strict=True):
            np.testing.assert_array_equal(vector, vector_of("m", wanted.tower, item))
        assert (result.digest, result.dtype) == ("digest", "float32")


def test_many_threads_of_many_clients_each_get_their_own(server: EngineServer, address: str) -> None:
    clients = [connected(address) for _ in range(3)]
    wrong: list[object] = []

    def ask(client: EngineClient, seed: int) -> None:
        generator = np.random.default_rng(seed)
        for _ in range(30):
            item = generator.integers(10, 1000, generator.integers(1, 9)).astype(np.int32)
            try:
                result = client.embed(request(item))
            except QueueFullError:
                continue
            if not np.array_equal(result.embeddings[0], vector_of("m", "text", item)):
                wrong.append(item)

    finish = [in_thread(lambda c=c, s=s: ask(c, s)) for s, c in enumerate(clients * 4)]
    for end in finish:
        end()
    for client in clients:
        client.close()
    assert not wrong


def test_refusals_keep_their_types(client: EngineClient, models: FakeModels, engine: FakeEngine) -> None:
    with pytest.raises(WeightsMissingError) as missing:
        client.embed(request(text(5), model="absent"))
    assert missing.value.command == "fetch it"
    models.here["m"].close_gate()
    first = in_thread(lambda: client.embed(request(text(7))))
    models.here["m"].wait_entered()
    waiting = in_thread(lambda: client.embed(request(*texts(50))))
    until(lambda: engine.batcher.waiting_items == 50)
    with pytest.raises(QueueFullError):
        client.embed(request(*texts(40, first=5000)))
    models.here["m"].gate.set()
    first()
    waiting()


def test_an_answer_after_the_deadline_reaches_nobody(client: EngineClient, models: FakeModels) -> None:
    models.here["m"].close_gate()
    with pytest.raises(DeadlineExceededError):
        client.embed(request(text(7, 7), deadline_s=0.1))
    assert client.in_flight == 0
    models.here["m"].gate.set()
    item = text(8, 8, 8)
    np.testing.assert_array_equal(client.embed(request(item)).embeddings[0], vector_of("m", "text", item))


def test_a_client_that_leaves_costs_no_forward(client: EngineClient, models: FakeModels, engine: FakeEngine) -> None:
    models.here["m"].close_gate()
    first = in_thread(lambda: client.embed(request(text(7, 7))))
    models.here["m"].wait_entered()
    left = threading.Event()
    leaving = in_thread(lambda: client.embed(request(text(8, 8)), left.is_set))
    until(lambda: engine.batcher.waiting_items == 1)
    left.set()
    with pytest.raises(CancelledError):
        leaving()
    until(lambda: engine.batcher.waiting_items == 0)
    models.here["m"].gate.set()
    first()
    assert [item.tolist() for item in models.here["m"].ran] == [[7, 7]]


def test_requests_of_a_dead_worker_are_dropped(
    client: EngineClient, models: FakeModels, engine: FakeEngine, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CLIENT_SILENCE_S", 0.3)
    monkeypatch.setattr(client_module, "GREETING_S", 0.05)
    models.here["m"].close_gate()
    first = in_thread(lambda: client.embed(request(text(7, 7))))
    models.here["m"].wait_entered()
    dying = connected(address)
    doomed = in_thread(lambda: dying.embed(request(text(8, 8))))
    until(lambda: engine.batcher.waiting_items == 1)
    dying.close()
    with pytest.raises(EngineStoppedError):
        doomed()
    until(lambda: engine.batcher.waiting_items == 0)
    models.here["m"].gate.set()
    first()


def test_a_worker_that_was_only_slow_is_told_that_its_requests_are_dropped(
    client: EngineClient, models: FakeModels, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.here["m"].close_gate()
    monkeypatch.setattr(client_module, "GREETING_S", 30.0)
    waiting = in_thread(lambda: client.embed(request(text(7, 7))))
    models.here["m"].wait_entered()
    monkeypatch.setattr(server_module, "CLIENT_SILENCE_S", 0.2)
    with pytest.raises(EngineStoppedError, match="sent the engine nothing"):
        waiting()


def test_noise_on_the_socket_harms_nobody(client: EngineClient, address: str) -> None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(address.removeprefix("ipc://"))
    stream = MessageStream(connection)
    noise = ([], [b""], [b"E"], [b"E", b"{", b""], [b"C", b"[]"], [b"C", b'{"number": []}'], [b"?", b"{}"], [b"M"])
    for frames in noise:
        stream.send(frames)
    other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    other.connect(address.removeprefix("ipc://"))
    other.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    item = text(6)
    np.testing.assert_array_equal(client.embed(request(item)).embeddings[0], vector_of("m", "text", item))
    assert other.recv(1) == b""  # the server closed what carries no messages
    other.close()
    assert stream.receive() == ([], True)
    stream.close()


def test_a_stopping_engine_answers_what_it_admitted(engine: FakeEngine, models: FakeModels, address: str) -> None:
    server = EngineServer(engine, address)  # type: ignore[arg-type]
    finish = in_thread(server.serve)
    client = connected(address)
    models.here["m"].close_gate()
    item = text(7, 7)
    admitted = in_thread(lambda: client.embed(request(item)))
    models.here["m"].wait_entered()
    server.stop()
    until(lambda: _is_refused(client))
    models.here["m"].gate.set()
    result: Any = admitted()
    np.testing.assert_array_equal(result.embeddings[0], vector_of("m", "text", item))
    finish()
    until(lambda: not client.get_readiness().ready)
    client.close()


def _is_refused(client: EngineClient) -> bool:
    try:
        client.embed(request(text(9), deadline_s=0.05))
    except EngineStoppedError:
        return True
    except DeadlineExceededError:
        return False
    return False


def test_without_an_engine_everything_is_refused_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_STATUS_S", 0.05)
    client = EngineClient(address)
    assert not client.get_readiness().ready
    assert client.export_metrics() == ""
    with pytest.raises(EngineStoppedError):
        client.embed(request(text(5)))
    with pytest.raises(EngineStoppedError) as refusal:
        client.get_default_model()
    assert refusal.value.retry_after_s == client_module.RETRY_AFTER_S > 0
    client.close()


def test_states_are_told_when_they_change_and_counters_when_they_come(
    client: EngineClient, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "METRICS_S", threading.TIMEOUT_MAX)
    assert client.list_statuses()[client.get_default_model()].state == "loaded"
    assert "signclip_engine_ready 1" in in_thread(client.export_metrics)()
    engine.state = Readiness(False, "it fell ill")
    until(lambda: client.get_readiness().reason == "it fell ill")


def test_an_engine_that_is_broken_gives_its_place_to_another(engine: FakeEngine, server: EngineServer) -> None:
    ended = threading.Event()
    server._give_up = lambda code: ended.set() if code else None
    engine.health.defect = "a forward pass has run for 121 s"
    assert ended.wait(TIMEOUT_S)


def test_the_record_names_what_is_still_to_be_loaded_and_survives_a_full_disk(
    engine: FakeEngine, address: str, tmp_path: Path
) -> None:
    record = tmp_path / "nowhere" / "loaded"
    record.parent.touch()  # no folder can be made there, as on a full disk
    engine.health.preloading = ("later",)
    before = set(threading.enumerate())
    server = EngineServer(engine, address, record=record)  # type: ignore[arg-type]
    finish = in_thread(server.serve)
    client = connected(address)
    assert client.embed(request(text(1))).embeddings.any()
    record.parent.unlink()
    engine.state = Readiness(False, "changed")
    until(lambda: not client.get_readiness().ready)
    engine.state = Readiness(True)
    until(record.is_file)
    assert record.read_text().split() == ["m", "later"]
    client.close()
    server.stop()
    finish()
    until(lambda: set(threading.enumerate()) <= before)


def test_a_silent_engine_is_not_ready_and_refuses_at_once(
    client: EngineClient, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, and says nothing: stopped, or stuck. Requests would wait for their deadlines."""
    assert client.get_readiness().ready
    monkeypatch.setattr(client_module, "SILENCE_S", -1.0)
    assert "has sent nothing" in str(client.get_readiness().reason)
    with pytest.raises(EngineStoppedError, match="has sent nothing for") as refusal:
        client.embed(request(text(1)))
    assert refusal.value.retry_after_s == client_module.RETRY_AFTER_S
    assert not models.here["m"].batches


def test_reading_the_models_states_delays_no_message(
    engine: FakeEngine, address: str, client: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs, or a file that takes long to read, once kept the loop from every message."""
    entered, gate = threading.Event(), threading.Event()

    def hang() -> dict[str, Any]:
        entered.set()
        assert gate.wait(TIMEOUT_S)
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(engine, "list_statuses", hang)
    engine.changes += 1
    assert entered.wait(TIMEOUT_S)
    assert len(client.embed(request(text(3))).embeddings) == 1
    assert client.export_metrics()
    gate.set()  # the reading fails; the states of before stay
    assert len(client.embed(request(text(4))).embeddings) == 1
    assert client.list_statuses()["m"].state == "loaded"
