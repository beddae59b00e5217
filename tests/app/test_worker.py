"""What the web worker changes of gunicorn's."""

import logging
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from gunicorn.http import message, wsgi
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import _DEFER, TConn

import app.worker
from app import connections
from app.worker import Worker
from tests.engine.fakes import until
from tests.processes.turn_tasks import hands_its_turn_on


class _ListenerFirst(selectors.DefaultSelector):
    """Gives the events of listening sockets before those of connections, as the kernel may."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return sorted(super().select(timeout), key=lambda found: isinstance(found[0].data, partial))


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker without a process of its own, which handles events when it is told to."""
    made = object.__new__(Worker)
    made.cfg, made.log = SimpleNamespace(is_ssl=False, keepalive=15, workers=1), logging.getLogger("worker")
    made.alive, made.nr_conns, made.worker_connections = True, 0, 100
    made.keepalived_conns, made.pending_conns, made.leaving_conns = deque(), deque(), deque()
    made.poller = _ListenerFirst()
    yield made
    for conn in (*made.keepalived_conns, *made.pending_conns, *made.leaving_conns):
        conn.close()
    made.poller.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        client.settimeout(30)
        yield client, server


def finish(worker: Worker, server: socket.socket, result: object) -> TConn:
    """Finish a request that a thread has handled."""
    conn, handled = TConn(worker.cfg, server, "", ""), Future[object]()
    worker.nr_conns += 1
    handled.set_result(result)
    worker.finish_request(conn, handled)
    return conn


def test_a_stop_caps_connections_without_a_request_as_it_caps_those_between_two() -> None:
    worker = object.__new__(Worker)
    kept, pending, leaving = (SimpleNamespace(timeout=timeout) for timeout in (90.0, 80.0, 3.0))
    worker.keepalived_conns, worker.pending_conns = deque([kept]), deque([leaving, pending])
    worker._cap_keepalive(5.0)
    assert (kept.timeout, pending.timeout, leaving.timeout) == (5.0, 5.0, 3.0)


def test_an_event_of_a_connection_that_gave_way_is_left_alone(worker: Worker, listener: socket.socket) -> None:
    worker.worker_connections = 2
    worker.poller.register(listener, selectors.EVENT_READ, worker.accept)
    with ExitStack() as clients:
        old = clients.enter_context(socket.create_connection(listener.getsockname()))
        worker.wait_for_and_dispatch_events(30)
        (idle,) = worker.pending_conns
        clients.enter_context(socket.create_connection(listener.getsockname()))
        old.sendall(b"GET")
        until(lambda: len(select.select([listener, idle.sock], [], [], 0)[0]) == 2)
        worker.wait_for_and_dispatch_events(30)
        (newer,) = worker.pending_conns
        assert newer is not idle
        assert worker.nr_conns == 1
        assert idle.sock.fileno() == -1


def test_a_stop_accepts_clients_behind_one_that_has_gone_again(worker: Worker, listener: socket.socket) -> None:
    worker.alive = False
    socket.create_connection(listener.getsockname()).close()
    with socket.create_connection(listener.getsockname()) as waiting:
        worker._accept_waiting(listener)
        assert waiting.getsockname() in {conn.client for conn in worker.pending_conns}


@pytest.mark.parametrize(("connections_held", "is_left"), [(30, True), (0, False)])
def test_a_worker_with_connections_leaves_a_client_to_one_without(
    worker: Worker, listener: socket.socket, monkeypatch: pytest.MonkeyPatch, connections_held: int, is_left: bool
) -> None:
    worker.cfg.workers, worker.nr_conns = 2, connections_held
    others: list[socket.socket] = []

    def let_another_worker_accept(_: float) -> None:
        others.append(listener.accept()[0])

    monkeypatch.setattr(connections, "time", SimpleNamespace(sleep=let_another_worker_accept, monotonic=time.monotonic))
    with socket.create_connection(listener.getsockname()):
        worker.accept(listener)
        assert bool(others) == is_left
        assert worker.nr_conns == connections_held + (not is_left)
    for end in others:
        end.close()


def test_a_client_that_no_other_worker_takes_is_accepted(worker: Worker, listener: socket.socket) -> None:
    worker.cfg.workers, worker.nr_conns = 2, 50
    with socket.create_connection(listener.getsockname()):
        assert worker.accept(listener)
    assert worker.nr_conns == 51


def test_a_connection_that_ends_waits_in_the_loop_until_its_client_closes_it(
    worker: Worker, ends: tuple[socket.socket, socket.socket]
) -> None:
    client, server = ends
    conn = finish(worker, server, False)
    assert client.recv(1) == b""
    client.sendall(b"the rest of a body")
    worker.wait_for_and_dispatch_events(30)
    assert list(worker.leaving_conns) == [conn]
    client.close()
    worker.wait_for_and_dispatch_events(30)
    assert (list(worker.leaving_conns), worker.nr_conns, server.fileno()) == ([], 0, -1)


def test_a_client_that_does_not_close_is_closed(worker: Worker, ends: tuple[socket.socket, socket.socket]) -> None:
    conn = finish(worker, ends[1], False)
    worker.murder_pending()
    assert worker.nr_conns == 1
    conn.timeout = 0.0
    worker.murder_pending()
    assert (worker.nr_conns, ends[1].fileno()) == (0, -1)


def test_a_client_that_goes_on_sending_is_closed(worker: Worker, ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    finish(worker, server, False)
    for _ in range(8):
        if worker.leaving_conns:
            client.sendall(bytes(16 * 1024))
            worker.wait_for_and_dispatch_events(30)
    assert (worker.nr_conns, server.fileno()) == (0, -1)


def test_a_client_of_tls_that_says_nothing_ends_no_worker(worker: Worker, listener: socket.socket) -> None:
    worker.cfg.is_ssl = True
    handed: list[TConn] = []
    worker.enqueue_req = handed.append
    with socket.create_connection(listener.getsockname()):
        until(lambda: worker.accept(listener))
        waited = Future[object]()
        waited.set_result(_DEFER)
        worker.finish_request(handed[0], waited)
        assert list(worker.pending_conns) == handed
        handed[0].timeout = 0.0
        worker.murder_pending()
    assert worker.nr_conns == 0


def answer_in_thread(worker: Worker, server: socket.socket, *, unread: bytes = b"") -> TConn:
    """Have the worker's thread code answer a request, of which the application leaves nothing unread."""
    conn = TConn(worker.cfg, server, "", "")
    conn.parser = SimpleNamespace(unreader=SocketUnreader(server))
    conn.parser.unreader.unread(unread)
    worker.nr_conns += 1
    worker._answer(conn)
    return conn


def test_a_thread_puts_its_connection_back_and_the_loop_finds_the_next_request(
    worker: Worker, ends: tuple[socket.socket, socket.socket]
) -> None:
    handed: list[TConn] = []
    worker.handle, worker.enqueue_req = lambda _: True, handed.append
    conn = answer_in_thread(worker, ends[1])
    assert list(worker.keepalived_conns) == [conn]
    ends[0].sendall(b"GET / HTTP/1.1\r\n")
    worker.wait_for_and_dispatch_events(30)
    assert (list(worker.keepalived_conns), list(worker.pending_conns), handed) == ([], [conn], [])
    ends[0].sendall(b"Host: x\r\n\r\n")
    worker.wait_for_and_dispatch_events(30)
    assert (list(worker.pending_conns), handed) == ([], [conn])


@pytest.mark.parametrize(("alive", "unread", "result"), [(False, b"", True), (True, b"GET", True), (True, b"", False)])
def test_a_thread_leaves_a_connection_to_the_loop_that_may_not_wait_as_long_as_others(
    worker: Worker, ends: tuple[socket.socket, socket.socket], alive: bool, unread: bytes, result: bool
) -> None:
    deferred: list[tuple[object, ...]] = []
    worker.alive, worker.handle = alive, lambda _: result
    worker.method_queue = SimpleNamespace(defer=lambda *what: deferred.append(what))
    conn = answer_in_thread(worker, ends[1], unread=unread)
    assert list(worker.keepalived_conns) == []
    ((finish_request, given, handled),) = deferred
    assert (finish_request, given, handled.result()) == (worker.finish_request, conn, result)


def test_a_thread_survives_whatever_ends_its_request(worker: Worker, ends: tuple[socket.socket, socket.socket]) -> None:
    def fail(_: TConn) -> bool:
        raise SystemExit

    deferred: list[tuple[object, ...]] = []
    worker.handle, worker.method_queue = fail, SimpleNamespace(defer=lambda *what: deferred.append(what))
    answer_in_thread(worker, ends[1])
    assert deferred[0][2].result() is False


def test_the_environment_of_each_request_begins_as_gunicorn_begins_it() -> None:
    config = Config()
    ours, theirs = wsgi.base_environ(config), app.worker._make_base_environ(config)
    assert {**ours, "wsgi.errors": None} == {**theirs, "wsgi.errors": None}
    assert ours["wsgi.errors"].streams == theirs["wsgi.errors"].streams
    ours["HTTP_X"] = "of this request alone"
    assert "HTTP_X" not in wsgi.base_environ(config)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "::1", "no address", ""])
@pytest.mark.parametrize("allowed", ["", "*", "127.0.0.1", "10.0.0.0/8,::1"])
def test_a_proxy_is_trusted_as_gunicorn_trusts_it(address: str, allowed: str) -> None:
    config = Config()
    config.set("forwarded_allow_ips", allowed)
    asked = address, config.forwarded_allow_ips, config.forwarded_allow_networks()
    assert message._ip_in_allow_list(*asked) == app.worker._is_in_allow_list(*asked)
    assert message._ip_in_allow_list is not app.worker._is_in_allow_list


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_thread_waits_without_the_turn_for_a_body_that_nobody_wants(
    worker: Worker, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, is_chunked: bool
) -> None:
    conn, kept = TConn(worker.cfg, ends[1], "", ""), []
    unreader = SocketUnreader(ends[1])
    body = Body(ChunkedReader(None, unreader) if is_chunked else LengthReader(unreader, 5))
    conn.parser = RequestParser(Config(), ends[1], "")
    conn.parser.mesg = SimpleNamespace(body=body, must_close=False)
    ends[1].setblocking(True)
    assert hands_its_turn_on(lambda: kept.append(worker._keepalive_after(conn, True)), monkeypatch)
    assert kept == [False]
