"""The loop of a web worker: connections that wait for a head, for their next request, or for their end.

A connection takes a thread only once the head of its request is whole (app/heads.py). The thread that has answered puts
the connection back itself, because a turn of the loop for each answer would cost more than anything else in the loop.
"""

import errno
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cached_property, partial

from gunicorn.sock import BaseSocket
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from app.errors import HeadersTooLargeError, HeadSlowError, RequestError
from app.heads import HEAD_S, PIECE_BYTES, Head
from app.refusals import render
from app.sending import limit_unread
from processes.turns import Turns

# How long a worker without descriptors waits for one of its requests to end.
_PAUSE_S = 0.05
# How long a worker leaves a new client to others, in seconds: for each connection that it has, and at most. Otherwise
# one whose loop runs already takes nearly all clients that connect at once, and the others have nothing to do.
_YIELD_S, _MOST_YIELD_S = 20e-6, 1e-3
# How long a client may take to close a connection that ends, and what it may still send. Gunicorn gives as much.
_LEAVE_S = 2.0
_LEAVE_BYTES = 64 * 1024


class ConnectionLoop(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's ThreadWorker with other ways of a connection between the loop and the threads."""

    # Held by a thread that puts a connection back, and by the loop when it takes one that has nothing to read.
    _keeping = threading.Lock()

    @cached_property
    def _is_ssl(self) -> bool:
        return bool(self.cfg.is_ssl)  # gunicorn looks through its settings each time

    def init_process(self) -> None:
        """Serve until stopped."""
        # Connections that end, until their clients have closed them, too.
        self.leaving_conns: deque[TConn] = deque()
        super().init_process()

    def get_thread_pool(self) -> Turns:
        """Make the threads that answer requests."""
        return Turns(self.cfg.threads)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, and handle those of connections that no earlier one of them has closed."""
        for key, _ in self.poller.select(timeout):
            if self.poller.get_map().get(key.fd) is key:
                key.data(key.fileobj)

    def accept(self, listener: BaseSocket) -> bool:
        """Accept a client, which waits in the loop until the head of its request is there; return whether to go on."""
        if self.alive and self.nr_conns and self.cfg.workers > 1:
            time.sleep(min(_YIELD_S * self.nr_conns, _MOST_YIELD_S))
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

    def enqueue_req(self, conn: TConn) -> None:
        """Have a thread answer the request of a connection."""
        self.tpool.submit(partial(self._answer, conn))

    def _answer(self, conn: TConn) -> None:
        result: object = False
        with suppress(BaseException):  # whatever it was, this connection is closed, and the thread goes on
            result = self.handle(conn)
        if result is True and self._keep(conn):
            return
        handled: Future[object] = Future()
        handled.set_result(result)
        self.method_queue.defer(self.finish_request, conn, handled)

    def _keep(self, conn: TConn) -> bool:
        """Put a connection back between two requests without a turn of the loop; return whether that was possible."""
        if self._is_ssl or conn.is_http2 or conn.parser.unreader.buf.getvalue():
            return False
        with self._keeping:
            if not self.alive:  # it may not stay so long
                return False
            conn.set_timeout()
            self.keepalived_conns.append(conn)
            try:
                self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))
            except (OSError, ValueError):  # no memory for one more, or it is closed; the loop closes the connection
                self.keepalived_conns.remove(conn)
                return False
        return True

    def finish_request(self, conn: TConn, fs: Future[object]) -> None:
        """Keep or close a connection after its request. What came together with that request begins the next head."""
        result = False if fs.cancelled() or fs.exception() is not None else fs.result()
        kept = result is True
        early = conn.parser.unreader.take_buffered() if kept and not conn.is_http2 and not self._is_ssl else b""
        if early:
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
                piece = conn.sock.recv(PIECE_BYTES, socket.MSG_DONTWAIT)
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
            with suppress(OSError):  # a client that does not read goes without
                conn.sock.send(render(refusal), socket.MSG_DONTWAIT)
                conn.sock.shutdown(socket.SHUT_WR)
        conn.close()

    def _close_oldest_idle(self) -> bool:
        """Make room for a client that asks, at the cost of one that does not; return whether there was one."""
        with self._keeping:
            idle = self.leaving_conns or self.keepalived_conns or self.pending_conns
            if not idle:
                return False
            conn = idle.popleft()
            self.poller.unregister(conn.sock)
        self._drop(conn)
        return True

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that have waited too long for their next request."""
        with self._keeping:
            super().murder_keepalived(force)

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
        with self._keeping:
            super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)
