"""Requests as they arrive on a socket: slow, half-closed, malformed, too many; and what the answers and the log say."""

from __future__ import annotations

import http.client
import json
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from app.heads import HEAD_BYTES, Head
from tests.engine.fakes import until
from tests.running import Service, running, tiny_settings

CANARY = "canary7531"


@pytest.fixture(scope="module")
def service(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One worker with two threads and little more connections, so that what takes a thread or a place is noticed."""
    folder = tmp_path_factory.mktemp("heads")
    configuration = folder / "conf.py"
    configuration.write_text(
        "from runpy import run_path\nglobals().update(run_path('gunicorn.conf.py'))\nthreads = 2\n"
        "import app.sending\napp.sending.UNREAD_S = 1.0\n"
    )
    options = ("-w", "1", "-c", str(configuration), "--worker-connections", "40")
    with running(folder, tiny_settings(tiny_weights), options=options) as started:
        until(started.ready)
        yield started


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=30)


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def problem(answer: bytes) -> tuple[int, dict[str, str]]:
    """Check the form of a refusal, and return its status and its body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")
    assert "Content-Type: application/problem+json" in lines
    assert "X-Content-Type-Options: nosniff" in lines
    assert not any("gunicorn" in line for line in lines)
    document = json.loads(body)
    assert f"X-Request-ID: {document['request_id']}" in lines
    assert document["status"] == int(lines[0].split()[1])
    return document["status"], document


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        (f"GET /?q={CANARY}\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "request_malformed"),
        (f"{CANARY} / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "request_malformed"),
        (f"GET / HTTP/1.1\r\nHost: x\r\n{CANARY}\r\n\r\n", 400, "request_malformed"),
        (f"GET / HTTP/1.1\r\nHost: x\r\n{CANARY}_: x\r\nHost: y\r\n\r\n", 400, "request_malformed"),
        (f"GET / HTTP/1.1\r\nHost: x\r\nA: {CANARY}\r\n b\r\n\r\n", 400, "request_malformed"),
        (f"GET / HTTP/1.1\nHost: {CANARY}\n\n", 400, "request_malformed"),
        ("GET /healthz HTTP/1.1\r\n\r\n", 400, "request_malformed"),
        (f"GET /{CANARY * 500} HTTP/1.1\r\nHost: x\r\n\r\n", 414, "request_line_too_long"),
        (f"GET / HTTP/1.1\r\nHost: x\r\nExpect: {CANARY}\r\n\r\n", 417, "expectation_failed"),
        (f"GET / HTTP/1.1\r\nHost: x\r\nA: {CANARY * 1000}\r\n\r\n", 431, "headers_too_large"),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * 200 + "\r\n", 431, "headers_too_large"),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * 20000, 431, "headers_too_large"),
        (f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {CANARY}\r\n\r\n", 501, "transfer_coding_unsupported"),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "transfer_coding_unsupported"),
        (f"GET / {CANARY}\r\nHost: x\r\n\r\n", 505, "http_version_unsupported"),
        ("GET / HTTP/1.9\r\nHost: x\r\n\r\n", 505, "http_version_unsupported"),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "http_version_unsupported"),
    ],
)
def test_what_is_no_http_is_answered_as_a_problem_and_leaves_no_word_behind(service, request_text, status, code):
    with connect(service) as client:
        client.sendall(request_text.encode("latin-1"))
        found, document = problem(read_all(client))
    assert (found, document["code"]) == (status, code)
    assert CANARY not in json.dumps(document)
    log = service.log.read_text()
    assert CANARY not in log
    assert "a request was refused" in log


def test_letters_of_other_alphabets_in_an_address_are_to_be_encoded(service):
    """cURL encodes those of a path by itself, and those of a query not."""
    with connect(service) as client:
        client.sendall("GET /api/spot?query=Ж HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status, document = problem(read_all(client))
    assert (status, document["code"]) == (400, "request_malformed")
    assert "percent-encode other characters of the address, as %C3%A4 for ä" in document["detail"]


def test_slow_heads_keep_nobody_out_and_are_ended(service):
    """Each socket sends a line of its head now and then, for as long as it is let."""
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(service)) for _ in range(20)]
        started = time.monotonic()
        for client in slow:
            client.sendall(b"GET /healthz HTTP/1.1\r\n")
        for _ in range(5):
            assert service.ask("/healthz", timeout_s=5)[0] == 200
        waiting = {client.fileno(): client for client in slow}
        ended = {}
        while waiting:
            assert time.monotonic() - started < 30
            for client in waiting.values():
                # One that was ended a moment ago, which the next look shows.
                with suppress(BrokenPipeError):
                    client.sendall(b"A: b\r\n")
            for ready in select.select(list(waiting), [], [], 0.5)[0]:
                ended[ready] = waiting.pop(ready)
        assert time.monotonic() - started >= 9
        for client in ended.values():
            answer = client.recv(65536)
            assert problem(answer)[1]["code"] == "head_too_slow"


@pytest.mark.parametrize("field", ["Content-Length: 100", "Connection: close"])
def test_clients_that_neither_send_their_bodies_nor_close_take_no_thread(service, field):
    with ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(connect(service))
            client.sendall(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n".encode())
        assert service.ask("/healthz", timeout_s=5)[0] == 200


@pytest.mark.parametrize("kind", ["an answer", "a file"])
def test_clients_that_read_nothing_give_their_threads_back(service, kind):
    version = re.search(r"playground/\w+", service.ask("/")[2].decode())[0]
    path = "/openapi.json" if kind == "an answer" else f"/{version}/strings.js"
    with ExitStack() as stack:
        for _ in range(2):  # as many as there are threads
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", service.port))
            # Far more answers than the buffers of the two sockets hold.
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 250)
        for _ in range(300):  # until long after both threads have filled the buffers
            assert service.ask("/healthz", timeout_s=30)[0] == 200


def test_idle_connections_give_way_to_those_that_ask(service):
    with ExitStack() as stack:
        for number in range(100):  # more than the worker may hold
            client = stack.enter_context(connect(service))
            if number % 2:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert service.ask("/healthz", timeout_s=5)[0] == 200


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_a_client_that_only_sends_no_more_is_answered(service, version):
    body = json.dumps({"text": [f"house {number}" for number in range(256)]}).encode()
    head = f"POST /api/embed/text {version}\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with connect(service) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert answer.split(b" ", 2)[1] == b"200"


def test_requests_that_come_together_are_answered_one_after_the_other(service):
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(service) as client:
        client.sendall(one * 3 + one[:20])
        answers = b""
        while answers.count(b'"ok"') < 3:
            answers += client.recv(65536)
        client.sendall(one[20:] + one.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost"))
        assert read_all(client).count(b'"ok"') == 2


def test_a_body_that_is_refused_is_not_asked_for(service):
    head = b"POST /api/embed/text HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n"
    with connect(service) as client:
        client.sendall(head + b"Content-Length: 99000000000\r\n\r\n")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    body = b'{"text": "house"}'
    with connect(service) as client:
        client.sendall(head + f"Content-Length: {len(body)}\r\n\r\n".encode())
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_nobody_says_where_the_application_stands(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    connection.request("GET", "/x/metrics", headers={"SCRIPT_NAME": "/x"})
    with connection.getresponse() as answer:
        assert answer.status in (400, 404)
        assert answer.headers["Server"] in (None, "signclip")
        answer.read()
    connection.request("GET", "/healthz")
    with connection.getresponse() as answer:
        assert answer.headers["Server"] == "signclip"
    connection.close()


def test_a_head_is_whole_at_its_empty_line_or_where_it_cannot_become_one():
    for received, whole in (
        (b"", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nbody\n", True),
        (b"GET / HTTP/1.1\n", True),
    ):
        assert Head(received).is_whole() is whole, received
    large = Head(b"A" * HEAD_BYTES)
    with pytest.raises(Exception, match="65536 bytes"):
        large.add(b"A")


@pytest.mark.parametrize(
    "received",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\nbody\n", b"GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n", b"\r\n\r\r\n\r\n\n", b"\n"],
)
def test_a_head_in_pieces_is_whole_where_it_is_at_once(received):
    for size in range(1, len(received) + 1):
        head = Head()
        for start in range(0, len(received), size):
            arrived = received[: start + size]
            head.add(received[start : start + size])
            assert head.is_whole() is Head(arrived).is_whole() is (b"\r\n\r\n" in arrived or b"\n" in _strip(arrived))
    assert head.take() == received
    assert not head.is_whole()
    assert not head.received


def _strip(received: bytes) -> bytes:
    """Remove the ends of lines that are right."""
    return received.replace(b"\r\n", b"")


def test_a_head_of_single_bytes_is_read_once():
    """Ten connections that were read again for each byte kept a worker's loop busy."""
    looked = 0

    class Counted(bytearray):
        def count(self, what: bytes, start: int = 0) -> int:
            nonlocal looked
            looked += len(self) - start
            return super().count(what, start)

        def find(self, what: bytes, start: int = 0) -> int:
            nonlocal looked
            looked += len(self) - start
            return super().find(what, start)

        def __contains__(self, what: object) -> bool:
            nonlocal looked
            looked += len(self)
            return super().__contains__(what)  # type: ignore[operator]

    head = Head()
    head.received = Counted()
    for _ in range(10_000):
        head.add(b"A")
        assert not head.is_whole()
    assert looked < 100_000


def test_a_client_that_sends_a_large_body_first_reads_why_nobody_wanted_it(service: Service) -> None:
    """http.client and urllib give up at a broken pipe, and never look whether there is an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    body = bytes(24 * 1024**2)
    for _ in range(2):  # and the connection is kept
        connection.request("POST", "/nowhere", body, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (404, "route_unknown")
    connection.close()


def test_a_client_that_stops_in_a_body_that_nobody_wants_is_answered_and_closed(service: Service) -> None:
    with connect(service) as client:
        client.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" + bytes(100_000))
        assert problem(read_all(client))[0] == 404
