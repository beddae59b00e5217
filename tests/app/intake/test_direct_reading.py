"""Bodies that are read past gunicorn's buffers: every byte once, and not one of the next request."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
from flask import Flask, g, request
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.unreader import SocketUnreader

from app.access.places import HeldBody, HeldBytes
from app.intake.body import read_file
from app.intake.connection import BodyLimits, read_into, take_arrived
from app.telemetry import RequestRecord
from processes import turns

BODY, NEXT = bytes(range(256)) * 64, b"POST /next HTTP/1.1\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    server.settimeout(10)
    yield client, server
    client.close()
    server.close()


def read_all(server: socket.socket, body: Body, length: int, *, piece: int) -> bytes:
    environ = {"wsgi.input": body, "gunicorn.socket": server}
    received = bytearray()
    with Flask(__name__).test_request_context(environ_overrides=environ):
        while len(received) < length:
            buffer = memoryview(bytearray(min(piece, length - len(received))))
            count = read_into(buffer)
            assert count
            received += buffer[:count]
    return bytes(received)


@pytest.mark.parametrize("held", [0, 1, 300, len(BODY), len(BODY) + 5])
@pytest.mark.parametrize("piece", [100, len(BODY)])
def test_what_gunicorn_holds_already_comes_first_and_the_next_request_stays(
    ends: tuple[socket.socket, socket.socket], held: int, piece: int
) -> None:
    client, server = ends
    client.sendall((BODY + NEXT)[held:])
    unreader = SocketUnreader(server)
    unreader.unread((BODY + NEXT)[:held])
    body = Body(LengthReader(unreader, len(BODY)))
    assert read_all(server, body, len(BODY), piece=piece) == BODY
    assert body.reader.length == 0
    assert not body.failed
    assert unreader.read(len(NEXT)) == NEXT


@pytest.mark.parametrize("length", [100, len(BODY)])
def test_a_whole_body_is_what_was_sent_be_it_short_or_long(
    ends: tuple[socket.socket, socket.socket], length: int
) -> None:
    client, server = ends
    client.sendall(BODY[:length] + NEXT)
    unreader = SocketUnreader(server)
    environ = {"wsgi.input": Body(LengthReader(unreader, length)), "gunicorn.socket": server}
    environ |= {"CONTENT_LENGTH": str(length), "REQUEST_METHOD": "POST"}
    with Flask(__name__).test_request_context(environ_overrides=environ):
        g.body = HeldBody(HeldBytes(1_000_000))
        g.record = RequestRecord("one", time.monotonic(), time.monotonic() + 60)
        assert read_file(request, max_bytes=len(BODY)) == BODY[:length]
    assert unreader.read(len(NEXT)) == NEXT


def test_a_body_of_unknown_length_is_accounted_for_as_it_comes() -> None:
    environ = {"wsgi.input": io.BytesIO(BODY), "wsgi.input_terminated": True, "REQUEST_METHOD": "POST"}
    with Flask(__name__).test_request_context(environ_overrides=environ):
        g.body = HeldBody(HeldBytes(1_000_000))
        g.record = RequestRecord("one", time.monotonic(), time.monotonic() + 60)
        assert read_file(request, max_bytes=len(BODY) + 1) == BODY
        assert g.body.bytes == 2 * len(BODY)


def test_a_body_that_ends_early_is_an_error_and_ends_the_connection(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, server = ends
    client.sendall(BODY[:100])
    client.shutdown(socket.SHUT_WR)
    body = Body(LengthReader(SocketUnreader(server), len(BODY)))
    with pytest.raises(ConnectionError):
        read_all(server, body, len(BODY), piece=64)
    assert body.failed


@pytest.mark.parametrize("held", [0, 1, 300, len(BODY), len(BODY) + 5])
def test_a_body_that_has_arrived_is_taken_whole_and_the_next_request_stays(
    ends: tuple[socket.socket, socket.socket], held: int
) -> None:
    client, server = ends
    server.setblocking(True)
    client.sendall((BODY + NEXT)[held:])
    unreader = SocketUnreader(server)
    unreader.unread((BODY + NEXT)[:held])
    body = Body(LengthReader(unreader, len(BODY)))
    with Flask(__name__).test_request_context(environ_overrides={"wsgi.input": body, "gunicorn.socket": server}):
        assert take_arrived(len(BODY)) == BODY
    assert body.reader.length == 0
    assert unreader.read(len(NEXT)) == NEXT


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("held", [0, 40, 100])
def test_a_body_that_is_not_all_there_is_left_as_it_is(
    ends: tuple[socket.socket, socket.socket], held: int, ended: bool
) -> None:
    client, server = ends
    server.setblocking(True)
    client.sendall(BODY[held:100])
    if ended:
        client.shutdown(socket.SHUT_WR)
    unreader = SocketUnreader(server)
    unreader.unread(BODY[:held])
    body = Body(LengthReader(unreader, len(BODY)))
    with Flask(__name__).test_request_context(environ_overrides={"wsgi.input": body, "gunicorn.socket": server}):
        assert take_arrived(len(BODY)) is None
        assert take_arrived(len(BODY) + 1) is None  # not what the head said
    if not ended:
        client.sendall(BODY[100:] + NEXT)
        assert body.read() == BODY


def test_other_bodies_are_left_to_the_stream(ends: tuple[socket.socket, socket.socket]) -> None:
    _, server = ends
    unreader = SocketUnreader(server)
    unreader.unread(b"5\r\nhello\r\n0\r\n\r\n")
    chunked = Body(ChunkedReader(None, unreader))
    for environ in ({}, {"gunicorn.socket": server}, {"gunicorn.socket": server, "wsgi.input": chunked}):
        with Flask(__name__).test_request_context(environ_overrides=environ):
            assert read_into(memoryview(bytearray(5))) is None
            assert take_arrived(5) is None
    assert chunked.read() == b"hello"


def test_a_body_may_be_late_by_what_has_come_of_it_be_the_rest_ever_so_long(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = ends
    length, allowed = 1_000_000, []
    monkeypatch.setattr(BodyLimits, "allow", lambda _self, size: allowed.append(size))
    sender = threading.Thread(target=client.sendall, args=(bytes(length),))
    sender.start()
    environ = {"wsgi.input": Body(LengthReader(SocketUnreader(server), length)), "gunicorn.socket": server}
    environ |= {"CONTENT_LENGTH": str(length), "REQUEST_METHOD": "POST"}
    with Flask(__name__).test_request_context(environ_overrides=environ):
        g.body = HeldBody(HeldBytes(3_000_000))
        g.record = RequestRecord("one", time.monotonic(), time.monotonic() + 60)
        assert read_file(request, max_bytes=length) == bytes(length)
    sender.join()
    assert allowed[0] == 8192  # nothing has come yet, and a client that sends nothing may not wait for the whole body
    assert allowed == sorted(allowed)
    assert allowed[-1] <= length


def test_a_body_that_has_not_arrived_lets_other_requests_have_their_turn(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SLICE_S", 3600.0)  # nobody loses a turn, it must be handed on
    client, server = ends
    threads, received, done = turns.Turns(2), [], threading.Event()

    def read() -> None:
        received.append(read_all(server, Body(LengthReader(SocketUnreader(server), 5)), 5, piece=5))
        done.set()

    threads.submit(read)
    threads.submit(partial(client.sendall, b"later"))  # while the first one waits
    assert done.wait(5)
    assert received == [b"later"]
