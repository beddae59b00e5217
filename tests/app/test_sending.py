"""How long an answer waits for its client: silence, a trickle, pauses of the service itself."""

import errno
import socket
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import repeat
from types import SimpleNamespace

import pytest
from gunicorn.http import wsgi

from app import sending, worker
from app.sending import UNREAD_S, PacedResponse, PacedSocket
from processes import turns
from processes.socket_limits import limit_sending
from tests.engine.fakes import until


class Client:
    """A client that takes nothing at once, then so many bytes at a time, and so many seconds for them, by its clock."""

    def __init__(self, *pace: tuple[int, float]) -> None:
        self._pace = list(pace)
        self.now_s = 0.0
        self.received = bytearray()

    def send(self, data: bytes, flags: int = 0) -> int:
        if flags & socket.MSG_DONTWAIT:
            raise BlockingIOError
        most, seconds = self._pace.pop(0) if len(self._pace) > 1 else self._pace[0]
        self.now_s += seconds
        self.received += data[:most]
        return min(most, len(data))


def connect(monkeypatch: pytest.MonkeyPatch, pace: Sequence[tuple[int, float]]) -> tuple[PacedSocket, Client]:
    client = Client(*pace)
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: client.now_s))
    return PacedSocket(client), client  # type: ignore[arg-type]


def test_a_client_that_reads_by_a_trickle_is_ended_once_it_is_too_far_behind(monkeypatch):
    end, client = connect(monkeypatch, [(100, 1.0)])
    with pytest.raises(BrokenPipeError, match="too slowly") as caught:
        end.sendall(bytes(1_000_000))
    assert caught.value.errno == errno.EPIPE
    assert UNREAD_S <= client.now_s <= 1.2 * UNREAD_S


def test_what_buffers_took_at_once_gives_no_time_later(monkeypatch):
    end, client = connect(monkeypatch, [(200_000, 0.0)] * 10 + [(100, 1.0)])
    with pytest.raises(BrokenPipeError, match="too slowly"):
        end.sendall(bytes(3_000_000))
    assert client.now_s <= 1.2 * UNREAD_S


@pytest.mark.parametrize("pace", [(1100, 1.0), (32 * 1024, UNREAD_S - 1)])
def test_a_client_that_is_slow_and_fast_enough_gets_all(monkeypatch, pace):
    data = bytes(range(256)) * 2000
    end, client = connect(monkeypatch, [pace])
    end.sendall(data)
    assert client.received == data
    assert client.now_s > 10 * UNREAD_S


def test_a_trickle_of_many_short_pieces_is_one_trickle(monkeypatch):
    end, client = connect(monkeypatch, [(100, 1.0)])
    with pytest.raises(BrokenPipeError, match="too slowly"):
        deque(map(end.sendall, repeat(bytes(100), 1000)), maxlen=0)
    assert 30 <= len(client.received) / 100 < 40


def test_a_stream_may_pause_for_as_long_as_its_events_do(monkeypatch):
    end, client = connect(monkeypatch, [(100, 0.01)])
    for _ in range(50):
        client.now_s += 3600
        end.sendall(b"an event")
    assert client.received == b"an event" * 50


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_a_client_that_reads_nothing_is_ended(ends):
    limit_sending(ends[1], 0.1)
    with pytest.raises(BrokenPipeError, match="reads nothing"):
        PacedSocket(ends[1]).sendall(bytes(10_000_000))


def test_a_client_that_reads_nothing_lets_other_requests_have_their_turn(ends, monkeypatch):
    monkeypatch.setattr(turns, "SLICE_S", 3600.0)  # nobody loses a turn, it must be handed on
    client, server = ends
    answer, done = bytes(range(256)) * 20_000, threading.Event()
    received = bytearray()

    def send() -> None:
        PacedSocket(server).sendall(answer)
        done.set()

    def read() -> None:
        while len(received) < len(answer):
            with turns.pause():
                received.extend(client.recv(1_000_000))

    threads = turns.Turns(2)
    threads.submit(send)
    threads.submit(read)
    assert done.wait(20)
    until(lambda: len(received) == len(answer))
    assert received == answer


def test_an_answer_of_the_worker_is_ended_while_its_client_still_reads(ends, monkeypatch):
    """The client reads all the time, but less than a client must that is never waited for."""
    monkeypatch.setattr(sending, "UNREAD_S", 0.05)
    monkeypatch.setattr(sending, "LEAST_BYTES_PER_S", 1e15)
    client, server = ends
    reader = threading.Thread(target=lambda: [None for _ in iter(lambda: client.recv(64), b"")])
    reader.start()
    request = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: False)
    assert issubclass(wsgi.Response, PacedResponse), worker
    answer = wsgi.Response(request, server, SimpleNamespace())
    answer.start_response("200 OK", [("Content-Type", "text/plain")])
    with pytest.raises(BrokenPipeError, match="too slowly"):
        deque(map(answer.write, repeat(bytes(100_000))), maxlen=0)
    server.close()
    reader.join()
