"""The web worker: gunicorn's threads, with signal handlers that cannot deadlock, and a stop that loses no request."""

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
    """Gunicorn's ThreadWorker, stopped in another way.

    TERM: stop accepting, answer what was admitted, end. INT and QUIT: end at once.
    Gunicorn's own handlers take locks of the thread pool, and so do the exits that they begin. A second signal then
    waits for a lock that its own thread holds. Ctrl-C brings two: INT from the terminal, QUIT from the master.
    """

    def init_signals(self) -> None:
        """Take the handlers of this class, and from then on the signals that have come since the fork."""
        super().init_signals()
        # Of a terminal that closes. The master reloads then, and asks this worker to stop in order.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SHIELDED_SIGNALS)  # blocked by the master, over the fork

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """TERM: end when what was admitted is answered; the signal has also woken the loop, through its pipe."""
        if not self.booted:
            os._exit(0)  # it has accepted nothing
        self.alive = False

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """INT and QUIT: end at once; there is nothing to put in order, and an orderly exit waits for all threads."""
        os._exit(0)

    def init_process(self) -> None:
        """Serve until stopped, then end the process."""
        super().init_process()
        self.log.info("Worker exiting (pid: %s)", self.pid)
        # Threads may still be at work after the graceful time; an orderly exit would wait for them.
        os._exit(0)

    def run(self) -> None:
        """Serve until a signal or the end of the master, then answer what was admitted."""
        # Python writes a byte into this pipe at each signal. Gunicorn's loop does not look at it.
        self.poller.register(self.PIPE[0], selectors.EVENT_READ, lambda pipe: os.read(pipe, 4096))
        super().run()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Also close the listening sockets when the worker stops: who connects later is refused, not left waiting."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: BaseSocket) -> None:
        """Accept clients that connected before the stop: closing the socket resets those the kernel still holds."""
        listener.setblocking(False)
        accepted = -1
        while self.nr_conns != accepted:
            accepted = self.nr_conns
            try:
                self.accept(listener)
            except OSError as error:  # no descriptor is left: the connections that there are must still be answered
                self.log.warning("not all connections could be accepted: %s", error)

    def _cap_keepalive(self, deadline: float) -> None:
        """Keep connections on which no request has come as short as those between two requests, not for 15 s more."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def handle(self, conn: TConn) -> object:
        """Answer a request, and wait in this thread until the client has closed a connection that ends with it.

        Gunicorn waits in the loop, up to 2 s a connection: five clients that do not close stopped everything for 8 s.
        """
        kept = super().handle(conn)
        if kept is False:
            with suppress(OSError):  # the client has closed already
                close_graceful(socket.socket(fileno=os.dup(conn.sock.fileno())))
                conn.sock.shutdown(socket.SHUT_RDWR)  # so that the loop finds nothing to wait for
        return kept

    def is_parent_alive(self) -> bool:
        """Whether the master lives; once it does not, this worker stops as after TERM."""
        if super().is_parent_alive():
            return True
        self.alive = False  # so that connections which are kept alive end, too
        return False
