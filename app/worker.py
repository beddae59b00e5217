"""The web worker: gunicorn's threads, with signal handlers that cannot deadlock and a stop that loses no request."""

import os
import selectors
import signal
import socket
from contextlib import suppress
from types import FrameType

from gunicorn.sock import BaseSocket
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn, ThreadWorker

from processes.stop_signals import SHIELDED_SIGNALS


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's ThreadWorker with another way to stop.

    After TERM it stops accepting, answers what was admitted and ends. After INT or QUIT it ends at once.
    Gunicorn's own handlers take locks of the thread pool, and so do the exits that they begin. A second signal then
    waits for a lock that its own thread holds. Ctrl-C sends two signals: INT from the terminal, QUIT from the master.
    """

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
        accepted = -1
        while self.nr_conns != accepted:
            accepted = self.nr_conns
            try:
                self.accept(listener)
            except OSError as error:  # no descriptor is left; the connections that exist must still be answered
                self.log.warning("not all connections could be accepted: %s", error)

    def _cap_keepalive(self, deadline: float) -> None:
        """Close connections without a request as early as those that are between two requests, not 15 s later."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def handle(self, conn: TConn) -> object:
        """Answer a request. When its connection ends, wait in this thread until the client has closed it, too.

        Gunicorn waits in its loop, up to 2 s for each connection. Five clients that did not close stopped it for 8 s.
        """
        kept = super().handle(conn)
        if kept is False:
            with suppress(OSError):  # the client has closed already
                close_graceful(socket.socket(fileno=os.dup(conn.sock.fileno())))
                conn.sock.shutdown(socket.SHUT_RDWR)  # so that the loop finds nothing to wait for
        return kept

    def is_parent_alive(self) -> bool:
        """Check whether the master lives. When it does not, this worker stops as after TERM."""
        if super().is_parent_alive():
            return True
        self.alive = False  # so that idle connections end, too
        return False
