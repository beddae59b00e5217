"""The web worker: gunicorn's threads, with a stop that loses no request and clients that take no thread until they ask.

A request waits in the loop until its head is whole (app/heads.py). What gunicorn refuses is answered as every other
error (app/refusals.py), and nothing of it comes into the log.
"""

import errno
import os
import selectors
import signal
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cached_property, partial
from types import FrameType

from gunicorn.http import wsgi
from gunicorn.http.message import Request
from gunicorn.sock import BaseSocket
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from app.errors import HeadersTooLargeError, HeadSlowError, RequestError
from app.heads import HEAD_S, PIECE_BYTES, Head, check
from app.refusals import SERVER, render, translate
from app.sending import PacedResponse, limit_unread
from processes.stop_signals import SHIELDED_SIGNALS

# Gunicorn has no setting for the name in its answers.
wsgi.SERVER = SERVER
# Nor for how long an answer may wait for its client.
wsgi.Response = PacedResponse
# How long a worker without descriptors waits for one of its requests to end.
_PAUSE_S = 0.05
# How long a refused client may take to read a few hundred bytes.
_ANSWER_S = 5.0
# How long a thread waits for a body that the application did not read: a round trip brings what is sent already.
_REST_S = 0.25
# How long a client may take to close a connection that ends, and what it may still send. Gunicorn gives as much.
_LEAVE_S = 2.0
_LEAVE_BYTES = 64 * 1024


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's ThreadWorker with another way to stop.

    After TERM it stops accepting, answers what was admitted and ends. After INT or QUIT it ends at once.
    Gunicorn's own handlers take locks of the thread pool, and so do the exits that they begin. A second signal then
    waits for a lock that its own thread holds. Ctrl-C sends two signals: INT from the terminal, QUIT from the master.
    """

    @cached_property
    def _is_ssl(self) -> bool:
        return bool(self.cfg.is_ssl)  # gunicorn looks through its settings each time

    def init_signals(self) -> None:
        """Install the handlers of this class, then let the signals through that have come since the fork."""
        super().init_signals()
        # A terminal that closes sends HUP. The master then reloads, and stops this worker in order.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SHIELDED_SIGNALS)  # blocked by the master, over the fork

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Handle TERM: end once what was admitted is answered. The signal has also woken the loop, through its pipe."""
        if not self.booted:
            os._exit(0)  # this worker has accepted nothing yet
        self.alive = False

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Handle INT and QUIT: end at once. An orderly exit would wait for all threads, and nothing needs one."""
        os._exit(0)

    def init_process(self) -> None:
        """Serve until stopped, then end the process."""
        # Connections that end, until their clients have closed them, too.
        self.leaving_conns: deque[TConn] = deque()
        super().init_process()
        self.log.info("Worker exiting (pid: %s)", self.pid)
        # Threads may still work when the graceful time is over, and an orderly exit would wait for them.
        os._exit(0)

    def run(self) -> None:
        """Serve until a signal or the end of the master, then answer what was admitted."""
        # Python writes a byte into this pipe at each signal. Gunicorn's loop does not look at it.
        self.poller.register(self.PIPE[0], selectors.EVENT_READ, lambda pipe: os.read(pipe, 4096))
        super().run()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Also close the listening sockets when the worker stops, so that later clients are refused and do not wait."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: BaseSocket) -> None:
        """Accept clients that connected before the stop. Closing the socket would reset those still in its queue."""
        listener.setblocking(False)
        try:
            while self.accept(listener):
                pass
        except OSError as error:  # no descriptor is left; the connections that exist must still be answered
            self.log.warning("not all connections could be accepted: %s", error)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, and handle those of connections that no earlier one of them has closed."""
        for key, _ in self.poller.select(timeout):
            if self.poller.get_map().get(key.fd) is key:
                key.data(key.fileobj)

    def accept(self, listener: BaseSocket) -> bool:
        """Accept a client, which waits in the loop until the head of its request is there; return whether to go on."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                return error.errno == errno.ECONNABORTED
            # No descriptor or no memory is left. An exception would end this worker and all its requests.
            self.log.warning("a connection cannot be accepted: %s", error)
            time.sleep(_PAUSE_S)  # or the loop would spin
            return self._close_oldest_idle()
        self.nr_conns += 1
        limit_unread(client)
        conn = TConn(self.cfg, client, address, listener.getsockname())
        if self._is_ssl:  # what arrives is not the head, but its encryption
            conn.head = Head()
            self.enqueue_req(conn)
        else:
            self._await_head(conn, b"")
        if self.alive and self.nr_conns >= self.worker_connections:
            self._close_oldest_idle()
        return True

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Wait for the whole head of the next request of a connection that was kept."""
        if self._is_ssl:
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_head(conn, b"")

    def finish_request(self, conn: TConn, fs: Future[object]) -> None:
        """Keep or close a connection after its request. What came together with that request begins the next head."""
        result = False if fs.cancelled() or fs.exception() is not None else fs.result()
        kept = result is True
        early = conn.parser.unreader.take_buffered() if kept and not conn.is_http2 and not self._is_ssl else b""
        if early:
            conn.sock.setblocking(False)
            self._await_head(conn, early)
        elif result:
            super().finish_request(conn, fs)
        else:
            self._leave(conn)

    def _leave(self, conn: TConn) -> None:
        """Say that no more comes, and wait in the loop, not in a thread, until the client has closed its end, too.

        Closed at once, the connection would be reset by what the client still sends, and the answer might be lost.
        """
        conn.head, conn.unread_bytes, conn.timeout = Head(), _LEAVE_BYTES, time.monotonic() + _LEAVE_S
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_leaving_socket_readable, conn))
        except OSError:  # the client has closed it already
            self._drop(conn)
        else:
            self.leaving_conns.append(conn)

    def on_leaving_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Skip what a client still sends; close the connection at its end, or when it sends too much."""
        skipped = 0
        with suppress(OSError):  # the client has reset the connection
            skipped = len(client.recv(PIECE_BYTES))
        conn.unread_bytes -= skipped
        if not skipped or conn.unread_bytes <= 0:
            self.poller.unregister(client)
            self.leaving_conns.remove(conn)
            self._drop(conn)

    def _await_head(self, conn: TConn, received: bytes) -> None:
        conn.head, conn.timeout = Head(received), time.monotonic() + HEAD_S
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        go_on = self._receive_head(conn)  # mostly it is there already
        if go_on is not None:
            go_on()
            return
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_head_readable, conn))

    def on_head_readable(self, conn: TConn, client: socket.socket) -> None:
        """Receive what has come of a head; hand the connection to a thread once it is whole."""
        go_on = self._receive_head(conn)
        if go_on is not None:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            go_on()

    def _receive_head(self, conn: TConn) -> Callable[[], None] | None:
        """Receive what has come of a head; return what to do with the connection, None to wait on."""
        try:
            if not conn.head.is_whole():
                piece = conn.sock.recv(PIECE_BYTES)
                if not piece:
                    return partial(self._drop, conn)
                conn.head.add(piece)
        except BlockingIOError:
            return None
        except OSError:
            return partial(self._drop, conn)
        except HeadersTooLargeError as error:
            return partial(self._drop, conn, error)
        if not conn.head.is_whole():
            return None
        conn.data_ready = True
        return partial(self.enqueue_req, conn)

    def _drop(self, conn: TConn, refusal: RequestError | None = None) -> None:
        """Close a connection without waiting for its client; say why if it sent what is no request."""
        self.nr_conns -= 1
        if refusal is not None:
            self.log.warning("a request was refused: %s", type(refusal).__name__)
            with suppress(OSError):  # the socket does not block: a client that does not read goes without
                conn.sock.send(render(refusal))
                conn.sock.shutdown(socket.SHUT_WR)
        conn.close()

    def _close_oldest_idle(self) -> bool:
        """Make room for a client that asks, at the cost of one that does not; return whether there was one."""
        idle = self.leaving_conns or self.keepalived_conns or self.pending_conns
        if idle:
            conn = idle.popleft()
            self.poller.unregister(conn.sock)
            self._drop(conn)
            return True
        return False

    def murder_pending(self) -> None:
        """Close connections whose head has not arrived in time, and those whose clients do not close them."""
        now = time.monotonic()
        for conns in (self.pending_conns, self.leaving_conns):
            while conns and conns[0].timeout <= now:
                conn = conns.popleft()
                self.poller.unregister(conn.sock)
                late = HeadSlowError(f"the head of the request has not arrived within {HEAD_S:g} s")
                self._drop(conn, late if conn.head.received else None)

    def _cap_keepalive(self, deadline: float) -> None:
        """Close connections without a request as early as those that are between two requests, not 15 s later."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def handle(self, conn: TConn) -> object:
        """Answer a request, whose head the loop has received."""
        if not self._is_ssl:
            conn.init()
            conn.parser.unreader.unread(conn.head.take())
        return super().handle(conn)

    def handle_request(self, req: Request, conn: TConn) -> object:
        """Hand a request to the application, unless HTTP forbids it."""
        check(req)
        if req._expected_100_continue:
            # The application says so once it wants the body (app/intake/connection.py). A client that was not told may
            # send its body or not, so nothing that follows on this connection could be understood.
            req._expected_100_continue = False
            req.force_close()
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: TConn, keepalive: object) -> bool:
        """Keep a connection if all of its request is there. No thread waits for a body that nobody wants."""
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + _REST_S))

    def handle_error(self, req: Request | None, client: socket.socket, addr: object, exc: Exception) -> None:  # noqa: ARG002
        """Answer what the application never saw as a problem, and log it without a word of the client's."""
        refusal = translate(exc)
        if refusal is None:
            places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(exc.__traceback__)]
            self.log.error("a request failed: %s at %s", type(exc).__name__, ", ".join(places[-4:]))
        else:
            self.log.warning("a request was refused: %s", type(exc).__name__)
        with suppress(OSError):
            client.settimeout(_ANSWER_S)
            client.sendall(render(refusal or exc))

    def is_parent_alive(self) -> bool:
        """Check whether the master lives. When it does not, this worker stops as after TERM."""
        if super().is_parent_alive():
            return True
        self.alive = False  # so that idle connections end, too
        return False
