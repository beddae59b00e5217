"""Every status code of the contract, each by what causes it; and what every refusal has in common."""

from __future__ import annotations

import gzip
import io
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import zstandard

from engine.errors import ItemFailedError, ModelFailedError
from engine.interface import Readiness
from processes.errors import CancelledError, DeadlineExceededError, EngineStoppedError, QueueFullError
from processes.version import VERSION

JSON = {"Content-Type": "application/json"}
RAW = {"Content-Type": "application/octet-stream"}
TEXT, POSE, SIMILARITY, OPENAI = "/api/embed/text", "/api/embed/pose", "/api/similarity", "/v1/embeddings"


def refused(answer, status: int, fragment: str, *, pointer: str | None = None) -> dict:
    """Check that an answer is a problem in the contract's form, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["title"]
    assert problem["type"] == f"urn:signclip:{problem['code']}"
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert fragment in problem["detail"]
    if pointer is not None:
        assert pointer in [place["pointer"] for place in problem["errors"]]
    return problem


@pytest.mark.parametrize(
    ("body", "headers", "fragment"),
    [
        (b"", JSON, "no body"),
        (b"{", JSON, "not JSON"),
        (b'{"text": NaN}', JSON, "not JSON"),
        (b'{"text": Infinity}', JSON, "not JSON"),
        (b'{"text": "\xff"}', JSON, "byte 10 of the body (0xFF) is not UTF-8"),
        (b'{"text": "\\ud800"}', JSON, "not JSON"),
        (b"[" * 1000, JSON, "do not close"),
        (b"[" * 100_000, JSON, "nested more than 1024 deep"),
        (b'["house"]', JSON, "list"),
        (b"null", JSON, "NoneType"),
        (b'{"text": "house"} {}', JSON, "not JSON"),
        (b"no gzip", {**JSON, "Content-Encoding": "gzip"}, "gzip"),
        (gzip.compress(b'{"text": "house"}')[:-4], {**JSON, "Content-Encoding": "gzip"}, "gzip"),
        (gzip.compress(b'{"text": "house"}') + b"behind", {**JSON, "Content-Encoding": "gzip"}, "gzip"),
        (b"no zstd", {**JSON, "Content-Encoding": "zstd"}, "zstd"),
        (zstandard.compress(b'{"text": "house"}' * 99)[:-20], {**JSON, "Content-Encoding": "zstd"}, "zstd"),
        (zstandard.compress(b'{"text": "house"}') + b"behind", {**JSON, "Content-Encoding": "zstd"}, "zstd"),
    ],
)
def test_400_not_json_or_not_decodable(client, body, headers, fragment):
    refused(client.post(TEXT, data=body, headers=headers), 400, fragment)


def test_400_a_get_without_a_body(client):
    refused(client.get(TEXT), 400, "no body")


def test_400_or_499_a_body_that_breaks_off(client):
    """Gunicorn's own words for chunks that are none, and for a client that stops sending."""
    from gunicorn.http.errors import InvalidChunkSize, NoMoreData

    for error, status, fragment in (
        (InvalidChunkSize(b"ZZ"), 400, "malformed"),
        (NoMoreData(), 499, "stopped before its end"),
        (ConnectionResetError(), 499, "stopped before its end"),
        (TimeoutError(), 499, "nothing of it arrived for 30 s"),
    ):
        stream = {"wsgi.input": _Broken(error), "wsgi.input_terminated": True}
        refused(client.post(TEXT, headers=JSON, environ_overrides=stream), status, fragment)


class _Broken:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int = -1) -> bytes:
        raise self._error

    def readinto(self, buffer: bytearray) -> int:
        raise self._error


def test_400_a_form_without_a_boundary(client):
    refused(client.post(POSE, data=b"--x", headers={"Content-Type": "multipart/form-data"}), 400, "boundary")


@pytest.mark.parametrize("path", [TEXT, SIMILARITY])
def test_404_an_unknown_model_lists_those_there_are(client, path):
    problem = refused(client.post(path, json={"text": "house", "model_name": "tinny"}), 404, "'tinny'")
    assert "Did you mean 'tiny'?" in problem["detail"]
    assert "asl_citizen" in problem["detail"]


@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/embed", "/static/x"])
def test_404_an_unknown_route(client, path):
    assert refused(client.get(path), 404, "no such route")["code"] == "route_unknown"


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("DELETE", TEXT, "POST"), ("GET", SIMILARITY, "POST"), ("POST", "/healthz", "GET")]
)
def test_405_names_the_allowed_methods(client, method, path, allowed):
    answer = client.open(path, method=method)
    refused(answer, 405, "method")
    assert allowed in answer.headers["Allow"]


def test_413_the_body(client):
    refused(client.post(TEXT, data=b" " * 4_000_001, headers=JSON), 413, "4000000 bytes")


def test_413_a_chunked_body(client):
    """Without a Content-Length, the limit holds while the body is read."""
    stream = {"wsgi.input": io.BytesIO(b" " * 4_000_001), "wsgi.input_terminated": True}
    headers = {**JSON, "Transfer-Encoding": "chunked"}
    refused(client.post(TEXT, headers=headers, environ_overrides=stream), 413, "4000000 bytes")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_413_what_the_body_unpacks_to(client, pack):
    coding = "gzip" if pack is gzip.compress else "zstd"
    body = pack(b'{"text": "' + b"a" * 50_000_000 + b'"}')
    assert len(body) < 100_000
    refused(client.post(TEXT, data=body, headers={**JSON, "Content-Encoding": coding}), 413, "unpacks")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (POSE, {"pose": ["a"] * 9}),
        (SIMILARITY, {"text": ["a"] * 5, "pose": ["a"] * 4}),
    ],
)
def test_413_the_item_count(client, path, body):
    assert refused(client.post(path, json=body), 413, "9 items; one request may hold 8")["code"] == "too_many_items"


def test_413_more_than_the_queue_could_ever_hold(make_client, app_settings, engine):
    small = replace(app_settings.engine, max_queue_items=280, max_queue_tokens=8192)
    client = make_client(engine=small)
    for texts, asked in (["sun"] * 281, "281 items of 843"), (["sun " * 29] * 280, "280 items of 8680"):
        refused(client.post(TEXT, json={"text": texts}), 413, f"{asked} tokens or frames together; the queue holds 280")
    assert not engine.requests
    assert client.post(TEXT, json={"text": ["sun"] * 280}).status_code == 200


def test_413_files_of_a_form(client):
    files = {"pose": [(io.BytesIO(b"x"), "x.pose") for _ in range(9)]}
    refused(client.post(POSE, data=files), 413, "9 items")
    fields = {"pose": (io.BytesIO(b"x"), "x.pose"), "flip": "n" * 300_000}
    refused(client.post(POSE, data=fields), 413, "bytes of fields")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (TEXT, {"Content-Type": "text/plain"}),
        (TEXT, {"Content-Type": "application/x-www-form-urlencoded"}),
        (TEXT, RAW),
        (POSE, {"Content-Type": "video/mp4"}),
        (TEXT, {**JSON, "Content-Encoding": "br"}),
        (TEXT, {**JSON, "Content-Encoding": "gzip, gzip"}),
    ],
)
def test_415_content_type_and_coding(client, path, headers):
    refused(client.post(path, data=b'{"text": "house"}', headers=headers), 415, "is not accepted")


def test_429_the_engines_queue_is_full(client, engine):
    engine.error = QueueFullError("1024 items wait; the limit is 1024", retry_after_s=2.4)
    answer = client.post(TEXT, json={"text": "house"})
    refused(answer, 429, "1024 items wait")
    assert answer.headers["Retry-After"] == "3"


def test_429_the_worker_has_as_many_requests_as_it_takes(make_client, engine):
    engine.hold = threading.Event()
    client = make_client(max_requests=1)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(client.application.test_client().post, TEXT, json={"text": "house"})
        assert engine.entered.wait(10)
        answer = client.post(TEXT, json={"text": "house"})
        health = client.get("/healthz")
        engine.hold.set()
        assert first.result().status_code == 200
    refused(answer, 429, "1 requests")
    assert answer.headers["Retry-After"] == "1"
    assert health.status_code == 200
    assert client.post(TEXT, json={"text": "house"}).status_code == 200


def test_499_a_client_that_left_costs_nothing(client, engine):
    here, there = socket.socketpair()
    there.close()
    with here:
        answer = client.post(TEXT, json={"text": "house"}, environ_overrides={"gunicorn.socket": here})
    refused(answer, 499, "closed the connection")
    assert not engine.requests


def test_499_is_not_for_a_client_that_waits(client):
    here, there = socket.socketpair()
    with here, there:
        environ = {"gunicorn.socket": here}
        assert client.post(TEXT, json={"text": "house"}, environ_overrides=environ).status_code == 200
        there.send(b"POST /next")  # pipelined
        assert client.post(TEXT, json={"text": "house"}, environ_overrides=environ).status_code == 200
        assert here.recv(100) == b"POST /next"


def test_499_a_client_that_leaves_while_it_waits(client, engine):
    engine.hold = threading.Event()
    here, there = socket.socketpair()
    with here, ThreadPoolExecutor() as pool:
        environ = {"gunicorn.socket": here}
        waiting = pool.submit(client.post, TEXT, json={"text": "house"}, environ_overrides=environ)
        assert engine.entered.wait(10)
        there.close()
        engine.hold.set()
        refused(waiting.result(), 499, "disconnected")


def test_499_a_cancelled_request(client, engine):
    engine.error = CancelledError("the client disconnected")
    refused(client.post(TEXT, json={"text": "house"}), 499, "disconnected")


@pytest.mark.parametrize("path", [TEXT, OPENAI, SIMILARITY])
def test_500_says_nothing_but_the_id(client, engine, path):
    engine.error = ZeroDivisionError("secret house")
    answer = client.post(path, json={"input" if path == OPENAI else "text": "house"})
    problem = refused(answer, 500, "request id")
    assert problem["code"] == "internal"
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text


def test_500_an_item_the_model_fails_on(client, engine):
    engine.failures = {1: ItemFailedError("secret state")}
    answer = client.post(TEXT, json={"text": ["sun", "house"]})
    assert refused(answer, 500, "request id")["code"] == "item_failed"
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", [TEXT, OPENAI, SIMILARITY])
def test_503_weights_that_are_missing_name_the_command(client, path):
    body = {"input": "sun", "model": "default"} if path == OPENAI else {"text": "sun", "model_name": "default"}
    answer = client.post(path, json=body)
    assert refused(answer, 503, "python -m models download default")["code"] == "weights_missing"
    assert "Retry-After" not in answer.headers  # waiting does not fetch them


def test_503_the_engine_has_stopped(client, engine):
    engine.error = EngineStoppedError("the engine is draining", retry_after_s=4)
    answer = client.post(TEXT, json={"text": "house"})
    refused(answer, 503, "draining")
    assert answer.headers["Retry-After"] == "4"


def test_503_the_model_does_not_load(client, engine):
    engine.error = ModelFailedError("model 'tiny' does not load")
    refused(client.post(TEXT, json={"text": "house"}), 503, "does not load")


def test_503_not_ready_says_why(client, engine):
    engine.ready = Readiness(False, "the default model is loading")
    answer = client.get("/readyz")
    refused(answer, 503, "is loading")
    assert answer.headers["Retry-After"]
    assert client.get("/healthz").json == {"status": "ok", "version": VERSION}


def test_504_the_deadline_passes_in_the_queue(client, engine):
    engine.hold = threading.Event()
    refused(client.post(TEXT, json={"text": "house"}, headers={"X-Timeout-Ms": "30"}), 504, "deadline")


def test_504_the_engine_says_so(client, engine):
    engine.error = DeadlineExceededError("the deadline passed")
    refused(client.post(TEXT, json={"text": "house"}), 504, "deadline")


def test_504_a_deadline_passed_before_the_queue_costs_no_forward(client, engine, golden_poses):
    answer = client.post(f"{POSE}?truncate=true", data=golden_poses["gss_long"], headers={**RAW, "X-Timeout-Ms": "1"})
    refused(answer, 504, "before the request was queued")
    assert not engine.requests
