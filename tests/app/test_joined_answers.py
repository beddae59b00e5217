"""Heads of answers that leave together with their bodies."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from app.joined_answers import _JOINED_BYTES, JoinedResponse
from app.sending import PacedResponse


class _Wire:
    """A socket that notes what each system call would send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.sent.append(bytes(data))
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)


def answer(kind: type[PacedResponse], pieces: list[bytes], *, method: str = "POST", length: int | None = None) -> Any:
    """Answer a request with these pieces of a body; return what was sent."""
    wire = _Wire()
    request = SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False)
    response = kind(request, wire, SimpleNamespace(sendfile=False))
    response.start_response(
        "200 OK", [("X-A", "b"), *([("Content-Length", str(length))] if length is not None else [])]
    )
    for piece in pieces:
        response.write(piece)
    response.close()
    return wire.sent


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hour stands still, because answers carry it."""
    monkeypatch.setattr("gunicorn.util.http_date", lambda: "now")


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(
    ("pieces", "options"),
    [
        ([b"body"], {"length": 4}),
        ([b"bo", b"dy"], {"length": 4}),
        ([b"bo", b"dy"], {}),
        ([b"", b"body"], {}),
        ([], {"length": 0}),
        ([], {}),
        ([b"body"], {"method": "HEAD", "length": 4}),
        ([b"longer than it says"], {"length": 4}),
        ([bytes(_JOINED_BYTES + 1)], {"length": _JOINED_BYTES + 1}),
    ],
)
def test_the_bytes_are_those_of_an_answer_that_is_not_joined(pieces: list[bytes], options: dict[str, Any]) -> None:
    ours, theirs = (b"".join(answer(kind, pieces, **options)) for kind in (JoinedResponse, PacedResponse))
    assert ours == theirs


@pytest.mark.parametrize(("size", "calls"), [(4, 1), (_JOINED_BYTES, 1), (_JOINED_BYTES + 1, 2)])
def test_a_short_body_leaves_with_its_head_in_one_call(size: int, calls: int) -> None:
    assert len(answer(JoinedResponse, [bytes(size)], length=size)) == calls


def test_a_stream_sends_its_head_before_it_has_anything_to_say() -> None:
    client, server = socket.socketpair()
    with client, server:
        request = SimpleNamespace(method="POST", version=(1, 1), should_close=lambda: False)
        response = JoinedResponse(request, server, SimpleNamespace(sendfile=False))
        response.start_response("200 OK", [])
        response.write(b"")
        client.settimeout(30)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
