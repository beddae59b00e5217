"""Clients that leave, and clients that only send no more: alike on the wire until they are answered."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from app.intake.connection import Client
from tests.engine.fakes import until

LINES, RAW = "application/x-ndjson", "application/octet-stream"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's and the client's end of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        with ours, theirs:
            yield ours, theirs


def test_a_client_that_left_is_noticed(pair):
    ours, theirs = pair
    client = Client(ours, takes_interim_answers=True)
    assert not client.is_disconnected()
    theirs.close()
    until(client.is_disconnected)


def test_a_client_that_sends_no_more_has_not_left_and_is_probed_once(pair):
    ours, theirs = pair
    client = Client(ours, takes_interim_answers=True)
    theirs.shutdown(socket.SHUT_WR)
    assert not any(client.is_disconnected() for _ in range(100))
    ours.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    ours.close()
    answer = b"".join(iter(lambda: theirs.recv(4096), b""))
    assert answer == b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize("begun", [False, True])
def test_nothing_is_sent_to_old_clients_or_into_an_answer(pair, begun):
    ours, theirs = pair
    client = Client(ours, takes_interim_answers=begun)
    client.begin_answer()
    theirs.shutdown(socket.SHUT_WR)
    assert not any(client.is_disconnected() for _ in range(3))
    ours.close()
    assert theirs.recv(4096) == b""


def test_a_client_that_sent_its_next_request_is_there(pair):
    ours, theirs = pair
    theirs.sendall(b"GET / HTTP/1.1\r\n")
    assert not Client(ours, takes_interim_answers=True).is_disconnected()
    assert not Client(None, takes_interim_answers=True).is_disconnected()


@pytest.mark.parametrize(
    ("path", "media", "accept", "interim"),
    [
        ("/api/embed/text", "application/json", "application/json", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("/api/collections/words/entries", LINES, "application/json", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("/api/collections/words/entries", LINES, LINES, b""),
        ("/api/spot", RAW, LINES, b""),
    ],
)
def test_nothing_comes_between_the_lines_of_an_answer(client, pair, pose_bytes, path, media, accept, interim):
    ours, theirs = pair
    client.put("/api/collections/words", json={})
    theirs.shutdown(socket.SHUT_WR)
    answer = client.post(
        path,
        data=pose_bytes if media == RAW else b'{"text": "sun"}',
        query_string={"query": "sun", "threshold": "1"} if media == RAW else {},
        headers={"Content-Type": media, "Accept": accept},
        environ_overrides={"gunicorn.socket": ours, "SERVER_PROTOCOL": "HTTP/1.1"},
    )
    assert answer.status_code == 200, answer.text
    assert "urn:" not in answer.text.splitlines()[-1]
    ours.close()
    assert b"".join(iter(lambda: theirs.recv(4096), b"")) == interim
