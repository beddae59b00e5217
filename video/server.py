"""The server of estimators: one thread for each request, because there are few, and each takes seconds."""

import logging
import os
import socket
import threading
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

from processes.errors import MessageError, ProcessError
from processes.heartbeat import Heartbeat
from processes.socket_limits import limit_silence
from video import messages
from video.interface import EstimateRequest
from video.local import LocalEstimators

log = logging.getLogger(__name__)
# How often the loop checks whether it should end when no client connects, in seconds.
TICK_S = 0.1
# How long a client may take over a message, in seconds. One that was stopped would keep a thread and its videos.
CLIENT_SILENCE_S = 30.0
# Connections that the kernel holds until they are accepted: far more than web workers open at once.
_BACKLOG = 256


class EstimatorServer:
    """Serves LocalEstimators on a Unix socket.

    Args:
        address: path of the socket, in a directory that only this user may enter.
        parent: process id whose end ends this server; None: it runs until it is stopped.
    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(self, estimators: LocalEstimators, address: str, *, parent: int | None = None) -> None:
        self._estimators = estimators
        self._parent = parent
        self._stopping = threading.Event()
        Path(address).unlink(missing_ok=True)  # a server that was killed left it
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(_BACKLOG)
        self._listener.settimeout(TICK_S)
        self._threads: list[threading.Thread] = []
        self._heartbeat = Heartbeat(address)

    def stop(self) -> None:
        """Answer what was admitted, then end `serve`. Safe to call from a signal handler."""
        self._stopping.set()

    def serve(self) -> None:
        """Accept requests until stopped; returns when every admitted request has been answered."""
        while not self._stopping.is_set():
            self._heartbeat.beat()
            if self._parent is not None and os.getppid() != self._parent:
                log.warning("the process that started the estimators has ended")
                break
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            try:
                end, _ = self._listener.accept()
            except TimeoutError:
                continue
            end.setblocking(True)
            limit_silence(end, CLIENT_SILENCE_S)
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
                    self._follow(connection, request)
            except MessageError as error:
                log.warning("a malformed message", extra={"error": str(error)})
            except (EOFError, OSError):
                log.info("a client disconnected")

    def _follow(self, connection: Connection, request: EstimateRequest) -> None:
        try:
            with closing(self._estimators.begin(request)) as work:
                messages.send_admitted(connection)
                # A client sends nothing after its request. If there is something to read, it is the connection's end.
                for event in work.follow(connection.poll):
                    messages.send_event(connection, event)
        except ProcessError as error:
            messages.send_refusal(connection, error)
