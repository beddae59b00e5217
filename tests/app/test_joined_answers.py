"""Heads of answers that leave together with their bodies."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.http.errors import InvalidResponseHeader

from app.joined_answers import _CONSTANT, _JOINED_BYTES, JoinedResponse, _Dates
from app.sending import PacedResponse


class _Wire:
    """A socket that notes what each system call would send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes, flags: int = 0) -> int:
        self.sent.append(bytes(data))
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)


def make_response(kind: type[PacedResponse], wire: Any, method: str = "POST") -> PacedResponse:
    request = SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False)
    return kind(request, wire, SimpleNamespace(sendfile=False))


def answer(kind: type[PacedResponse], pieces: list[bytes], *, method: str = "POST", length: int | None = None) -> Any:
    """Answer a request with these pieces of a body; return what was sent."""
    wire = _Wire()
    response = make_response(kind, wire, method)
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
    monkeypatch.setattr("gunicorn.util.http_date", lambda *_: "now")
    monkeypatch.setattr("app.joined_answers._dates", _Dates())


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


@pytest.mark.parametrize(
    "headers",
    [
        [(name, f"a value of {name}") for name in sorted(_CONSTANT)],
        [("Content-Length", "4"), ("Content-Type", " text/plain\t"), ("Keep-Alive", "timeout=5"), ("X-Other", "1")],
        [("Connection", "upgrade"), ("Upgrade", "websocket"), ("Content-Type", "a"), ("Content-Type", "b")],
    ],
)
def test_fields_that_were_checked_before_are_handed_on_as_gunicorn_does(headers: list[tuple[str, str]]) -> None:
    theirs = make_response(PacedResponse, _Wire())
    theirs.process_headers(headers)
    for _ in range(3):
        ours = make_response(JoinedResponse, _Wire())
        ours.process_headers(headers)
        assert (ours.headers, ours.response_length, ours.upgrade) == (
            theirs.headers,
            theirs.response_length,
            theirs.upgrade,
        )


@pytest.mark.parametrize("name", ["Content-Type", "X-Request-ID"])
def test_a_field_with_a_line_break_is_refused_each_time(name: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidResponseHeader):
            make_response(JoinedResponse, _Wire()).process_headers([(name, "a\r\nSet-Cookie: b")])


def test_the_date_is_that_of_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    dates = _Dates()
    written = []
    for now in (0.0, 0.9, 1.0, 784111777.5):
        monkeypatch.setattr("app.joined_answers.time.time", lambda now=now: now)
        written.append(dates.format())
    assert written == [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:01 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT",
    ]
