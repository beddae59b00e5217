"""The service under gunicorn as a person runs it: engines killed, workers reloaded, stopped in the middle of work."""

from __future__ import annotations

import base64
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from models.embedding import EmbeddingModel
from tests.engine.fakes import in_thread, until
from tests.running import Service, running, tiny_settings


@pytest.fixture
def serve(tiny_weights: Path, tmp_path: Path) -> Callable[..., object]:
    @contextmanager
    def start(*options: str, port: int | None = None) -> Iterator[Service]:
        with running(tmp_path, tiny_settings(tiny_weights), options=("-w", "2", *options), port=port) as service:
            yield service
            if service.process.poll() is None:
                service.process.send_signal(signal.SIGTERM)
            service.process.wait(60)
            assert not service.left_behind()

    return start


def texts(count: int) -> dict[str, object]:
    return {"text": [f"house {number}" for number in range(count)], "normalize": False}


def embed_at_last(service: Service) -> list[list[float]]:
    """Embed texts once the service answers: each web worker hears by itself that an engine is ready."""
    answers: list[bytes] = []

    def embeds() -> bool:
        status, _, body = service.ask("/api/embed/text", texts(3))
        answers.append(body)
        return status == 200

    until(lambda: service.ready() and embeds())
    vectors: list[list[float]] = json.loads(answers[-1])["embeddings"]
    return vectors


@pytest.mark.slow
def test_a_killed_engine_costs_typed_refusals_and_is_back(serve: Callable[..., object]) -> None:
    with serve() as service:
        expected = embed_at_last(service)
        (engine,) = service.children("engine")
        engine.kill()
        statuses = set()
        until(lambda: statuses.add(service.ask("/readyz")[0]) or 503 in statuses)
        status, headers, body = service.ask("/api/embed/text", texts(3))
        if status != 200:  # it may be back already
            assert (status, json.loads(body)["code"]) == (503, "engine_stopped")
            assert int(headers["Retry-After"]) >= 1
        np.testing.assert_array_equal(embed_at_last(service), expected)

        # A worker that is lost takes no count with it.
        def counted() -> str:
            page = service.ask("/metrics")[2].decode()
            return next(line for line in page.splitlines() if line.startswith("signclip_items_total"))

        before = counted()
        for worker in service.children():
            worker.kill()
        until(lambda: len(service.children()) == 2 and service.ready())
        assert counted() == before


def test_vectors_equal_those_in_process_to_the_bit(serve: Callable[..., object], tiny_model: EmbeddingModel) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the engine's, whose settings say so
    try:
        with serve() as service:
            until(service.ready)
            for asked in (["house"], ["house 1", "house 2", "house 3"]):
                body = {"text": asked, "normalize": False, "encoding_format": "base64"}
                rows = json.loads(service.ask("/api/embed/text", body)[2])["embeddings"]
                got = np.stack([np.frombuffer(base64.b64decode(row), "<f4") for row in rows])
                np.testing.assert_array_equal(got, tiny_model.embed_text(asked, normalize=False))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
def test_reloaded_workers_keep_their_engine_and_stopping_answers_what_was_admitted(
    serve: Callable[..., object],
) -> None:
    with serve() as service:
        until(service.ready)
        engines, workers = service.children("engine"), service.children()
        service.process.send_signal(signal.SIGHUP)
        until(lambda: not set(workers) & set(service.children()) and len(service.children()) == 2)
        until(service.ready)
        assert service.children("engine") == engines
        answers = [in_thread(lambda: service.ask("/api/embed/text", texts(256))) for _ in range(4)]
        until(lambda: "signclip_engine_batch_items_count" in service.ask("/metrics")[2].decode())
        service.process.send_signal(signal.SIGTERM)
        finished = [answer() for answer in answers]
        assert {status for status, _, _ in finished} <= {200, 429}
        assert service.process.wait(60) == 0
    assert "Traceback" not in service.log.read_text()
    until(lambda: not any(engine.is_running() for engine in engines))


def test_a_body_that_trickles_takes_no_longer_than_its_request(serve: Callable[..., object]) -> None:
    with serve() as service:
        until(service.ready)
        head = (
            "POST /api/embed/text HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000\r\nX-Timeout-Ms: 1000\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", service.port)) as slow:
            slow.settimeout(0.1)
            slow.sendall(head.encode())
            started, answer = time.monotonic(), b""
            while b"deadline_exceeded" not in answer:
                assert time.monotonic() - started < 20, answer
                if not answer:
                    slow.sendall(b" ")
                with suppress(TimeoutError):
                    answer += slow.recv(65536)
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert time.monotonic() - started >= 1


def test_clients_that_do_not_close_their_connections_hold_up_nobody(serve: Callable[..., object]) -> None:
    with serve("-w", "1") as service, ExitStack() as stack:
        until(lambda: service.answers("/healthz"))
        started = time.monotonic()
        for _ in range(8):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=30))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert service.ask("/healthz")[0] == 200
        assert time.monotonic() - started < 8  # one after the other, they would take 16 s
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0


def test_what_cannot_work_is_refused_at_the_start_and_leaves_nothing(serve: Callable[..., object]) -> None:
    with serve("--preload") as service:
        assert service.process.wait(60) != 0
        assert "--preload is not taken" in service.log.read_text()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        started = time.monotonic()
        with serve(port=taken.getsockname()[1]) as service:
            assert service.process.wait(60) != 0
            assert (
                f"port {taken.getsockname()[1]} is taken by another program" in service.log.read_text().splitlines()[-1]
            )
        assert time.monotonic() - started < 60
