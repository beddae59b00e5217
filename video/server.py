"""Estimators behind a Unix socket: one thread a request, for there are few, and each lasts seconds."""

import logging
import os
import socket
import threading
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

from processes.errors import MessageError, ProcessError
from video import messages
from video.interface import EstimateRequest
from video.local import LocalEstimators

log = logging.getLogger(__name__)
# How often the loop looks up when nobody comes, in seconds.
TICK_S = 0.1
# Far more than web workers send at once; what is past it waits in the kernel.
_BACKLOG = 256


class EstimatorServer:
    """Serves LocalEstimators on a socket.

    Args:
        address: path of the socket, in a directory only this user may enter.
        parent: process id whose end ends this one; None runs until stopped.
    """

    def __init__(self, estimators: LocalEstimators, address: str, *, parent: int | None = None) -> None:
        self._estimators = estimators
        self._parent = parent
        self._stopping = threading.Event()
        Path(address).unlink(missing_ok=True)  # of one that was killed
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(_BACKLOG)
        self._listener.settimeout(TICK_S)
        self._threads: list[threading.Thread] = []

    def stop(self) -> None:
        """Answer what was admitted, then end `serve`. Safe to call from a signal handler."""
        self._stopping.set()

    def serve(self) -> None:
        """Take requests until stopped; returns when everything admitted has been answered."""
        while not self._stopping.is_set():
            if self._parent is not None and os.getppid() != self._parent:
                log.warning("the process that started the estimators has ended")
                break
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            try:
                end, _ = self._listener.accept()
            except TimeoutError:
                continue
            end.setblocking(True)
            connection = Connection(end.detach())
            thread = threading.Thread(target=self._answer, args=(connection,), name="estimator-client", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._listener.close()
        self._estimators.close()
        for thread in self._threads:
            thread.join()

    def _answer(self, connection: Connection) -> None:
        with connection:
            try:
                request = messages.receive_request(connection)
                if request is None:
                    messages.send_metrics(connection, self._estimators.export_metrics())
                else:
                    self._work(connection, request)
            except MessageError as error:
                log.warning("a malformed message", extra={"error": str(error)})
            except (EOFError, OSError):
                log.info("a client has gone")

    def _work(self, connection: Connection, request: EstimateRequest) -> None:
        try:
            with closing(self._estimators.begin(request)) as work:
                messages.send_admitted(connection)
                # A client says nothing after its request: what can be read is its end.
                for event in work.follow(connection.poll):
                    messages.send_event(connection, event)
        except ProcessError as error:
            messages.send_refusal(connection, error)
