"""The web worker: gunicorn's threads, with a stop that loses no request and clients that take no thread until they ask.

A request waits in the loop until its head is whole (app/heads.py). What gunicorn refuses is answered as every other
error (app/refusals.py), and nothing of it comes into the log.
"""

import os
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from types import FrameType

from gunicorn.config import Config
from gunicorn.http import message, wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.message import Request
from gunicorn.sock import BaseSocket
from gunicorn.workers.gthread import TConn

from app.connections import ConnectionLoop
from app.heads import check
from app.joined_answers import JoinedResponse
from app.refusals import SERVER, render, translate
from processes.stop_signals import SHIELDED_SIGNALS
from processes.turns import pause

# Gunicorn has no setting for the name in its answers.
wsgi.SERVER = SERVER
# Nor for how an answer is sent.
wsgi.Response = JoinedResponse
# Gunicorn makes what every environment begins with anew for each request, with a stream of errors that nobody closes.
_make_base_environ = wsgi.base_environ
_is_in_allow_list = message._ip_in_allow_list
# How long a refused client may take to read a few hundred bytes.
_ANSWER_S = 5.0
# How long a thread waits for a body that the application did not read: a round trip brings what is sent already. A
# client that goes on as fast as this, in bytes a second, has longer, because one that still sends when its connection
# is closed may never see its answer.
_REST_S = 0.25
_REST_BYTES_A_S = 8 * 1024**2
_MOST_REST_S = 5.0


@lru_cache(maxsize=8)
def _keep_base_environ(cfg: Config) -> dict[str, object]:
    return dict(_make_base_environ(cfg))


def _is_trusted(address: str, allowed: Collection[str], networks: Collection[object]) -> bool:
    """Check whether a client is a trusted proxy; where no proxy is, its address need not be parsed."""
    return bool(networks or "*" in allowed) and bool(_is_in_allow_list(address, allowed, networks))


wsgi.base_environ = lambda cfg: _keep_base_environ(cfg).copy()
message._ip_in_allow_list = _is_trusted


class Worker(ConnectionLoop):
    """Gunicorn's ThreadWorker with another way to stop.

    After TERM it stops accepting, answers what was admitted and ends. After INT or QUIT it ends at once.
    Gunicorn's own handlers take locks of the thread pool, and so do the exits that they begin. A second signal then
    waits for a lock that its own thread holds. Ctrl-C sends two signals: INT from the terminal, QUIT from the master.
    """

    _notified = 0.0

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
        # Gunicorn searches two dictionaries for each of the twenty settings that a request needs.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()
        self.log.info("Worker exiting (pid: %s)", self.pid)
        # Threads may still work when the graceful time is over, and an orderly exit would wait for them.
        os._exit(0)

    def run(self) -> None:
        """Serve until a signal or the end of the master, then answer what was admitted."""
        # Python writes a byte into this pipe at each signal. Gunicorn's loop does not look at it.
        self.poller.register(self.PIPE[0], selectors.EVENT_READ, lambda pipe: os.read(pipe, 4096))
        super().run()

    def notify(self) -> None:
        """Show the master that this worker lives; once a second is enough, and the loop turns at each request."""
        now = time.monotonic()
        if now - self._notified >= 1:
            self._notified = now
            super().notify()

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
        """Keep a connection if all of its request is there. No thread waits long for a body that nobody wants."""
        body = conn.parser.mesg.body
        if not isinstance(body.reader, LengthReader):
            with pause():
                return bool(keepalive) and bool(conn.parser.finish_body(deadline=time.monotonic() + _REST_S))
        # A client that was to be told before it sends its body (`handle_request`) may never send it.
        if body.failed or (body.reader.length and conn.parser.mesg.must_close):
            return False
        if body.reader.length:
            with pause():
                is_there = self._discard_rest(conn, body.reader)
            if not is_there:
                return False
        conn.parser.mesg = None  # or gunicorn would read on to find that out, here and before the next request
        return bool(keepalive)

    def _discard_rest(self, conn: TConn, rest: LengthReader) -> bool:
        """Receive what a client still sends of a body, without keeping it; returns whether it came to its end."""
        began, discarded, timeout_s = time.monotonic(), 0, conn.sock.gettimeout()
        conn.sock.settimeout(_REST_S)
        try:
            while rest.length:
                received = len(conn.parser.unreader.read(read_ahead=rest.length))
                rest.length -= received
                discarded += received
                may_take_s = min(_MOST_REST_S, _REST_S + discarded / _REST_BYTES_A_S)
                if not received or time.monotonic() - began > may_take_s:
                    return False
        except OSError:  # of silence, too
            return False
        finally:
            conn.sock.settimeout(timeout_s)
        return True

    def handle_error(self, req: Request | None, client: socket.socket, addr: object, exc: Exception) -> None:  # noqa: ARG002
        """Answer what the application never saw as a problem, and log it without a word of the client's."""
        refusal = translate(exc)
        if refusal is None:
            places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(exc.__traceback__)]
            self.log.error("a request failed: %s at %s", type(exc).__name__, ", ".join(places[-4:]))
        else:
            self.log.warning("a request was refused: %s", type(exc).__name__)
        with suppress(OSError), pause():
            client.settimeout(_ANSWER_S)
            client.sendall(render(refusal or exc))

    def is_parent_alive(self) -> bool:
        """Check whether the master lives. When it does not, this worker stops as after TERM."""
        if super().is_parent_alive():
            return True
        self.alive = False  # so that idle connections end, too
        return False
