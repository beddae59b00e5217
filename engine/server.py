"""The server of an engine: one loop moves messages between web workers and the owner thread."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import zmq

from engine import messages
from engine.interface import EmbedResult
from engine.local import LocalEngine
from engine.messages import EngineStatus, Frames
from engine.queue import Ticket
from engine.statuses import StatusReader
from engine.wakeup import Wakeup
from models.errors import ModelsError
from processes.errors import EngineStoppedError, MessageError, ProcessError
from processes.files import write_file

log = logging.getLogger(__name__)
# Clients greet every second. The requests of a client that has sent nothing for this long, in seconds, are cancelled.
CLIENT_SILENCE_S = 5.0
# How often the loop checks for changed states and silent clients when no message comes, in seconds.
TICK_S = 0.1
# A client, and its number for a request.
RequestKey = tuple[bytes, int]


class EngineServer:
    """Serves a LocalEngine on a ZeroMQ ROUTER socket.

    Args:
        address: `ipc://PATH` in a directory that only this user may enter.
        parent: process id whose end ends this server; None: it runs until it is stopped.
        record: file that names the loaded models, for the supervisor, which starts the next engine with them.
        ends_on_failure: whether `serve` ends when the engine finds that it cannot be made ready.
    Raises:
        OSError: the address cannot be listened on; ZeroMQ's errors are OSErrors.
    """

    def __init__(
        self,
        engine: LocalEngine,
        address: str,
        *,
        parent: int | None = None,
        record: Path | None = None,
        ends_on_failure: bool = False,
    ) -> None:
        self._engine = engine
        self._parent = parent
        self._record = record
        self._ends_on_failure = ends_on_failure
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        # No message is dropped in silence: a client receives it, or the client and its identity have vanished.
        self._socket.set_hwm(0)
        self._socket.setsockopt(zmq.LINGER, 2000)
        self._socket.bind(address)
        self._wakeup = Wakeup()
        self._outbox: deque[tuple[bytes, Frames]] = deque()
        self._lock = threading.Lock()
        self._tickets: dict[RequestKey, Ticket] = {}
        self._clients: dict[bytes, float] = {}
        self._status: EngineStatus | None = None
        self._reader = StatusReader(engine, pause_s=TICK_S)
        self._stopping = threading.Event()
        self._draining = False
        self._give_up: Callable[[int], object] = os._exit

    def stop(self) -> None:
        """Answer what was admitted, then end `serve`. Safe to call from a signal handler."""
        self._stopping.set()

    def serve(self) -> str | None:
        """Move messages until stopped; returns when every admitted request has been answered.

        Returns:
            why the engine could not be made ready, if that ended it; else None.
        """
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._wakeup.fd, zmq.POLLIN)
        drained = threading.Event()
        ticked = 0.0
        self._reader.start()
        while not drained.is_set() or self._outbox:
            events = dict(poller.poll(int(TICK_S * 1000)))
            if self._wakeup.fd in events:
                self._wakeup.clear()
            self._send_outbox()
            if self._socket in events:
                self._receive()
            if time.monotonic() - ticked >= TICK_S:
                ticked = time.monotonic()
                self._tick()
                if self._stopping.is_set() and not self._draining:
                    self._drain(drained)
        self._reader.stop()
        self._context.destroy(linger=2000)
        self._wakeup.close()
        return self._find_failure()

    def _find_failure(self) -> str | None:
        return self._engine.health.start_failure if self._ends_on_failure else None

    def _drain(self, drained: threading.Event) -> None:
        self._draining = True
        log.info("draining", extra={"requests": len(self._tickets)})

        def close() -> None:
            self._engine.close()
            drained.set()

        threading.Thread(target=close, name="engine-drain", daemon=True).start()

    def _receive(self) -> None:
        """Receive every message that has come; one by one they would reach the owner thread in small batches."""
        while True:
            try:
                client, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._clients[client] = time.monotonic()
            try:
                self._handle(client, frames)
            except MessageError as error:
                log.warning("a malformed message", extra={"error": str(error)})

    def _handle(self, client: bytes, frames: Frames) -> None:
        kind = frames[0] if frames else b""
        if kind == messages.EMBED:
            self._embed(client, frames)
        elif kind == messages.CANCEL:
            number = messages.unpack_header(frames, 2).get("number")
            with self._lock:
                ticket = self._tickets.pop((client, number), None) if isinstance(number, int) else None
            if ticket is not None:
                self._engine.cancel(ticket)
        elif kind == messages.HELLO:
            status = self._build_status()
            if status is not None:  # else the client greets again
                self._post(client, messages.pack_status(status))
        elif kind == messages.METRICS:
            number, _ = messages.unpack_metrics(frames)
            self._post(client, messages.pack_metrics(number, self._engine.export_metrics()))
        else:
            raise MessageError(f"a message of unknown kind {kind[:8]!r}")

    def _embed(self, client: bytes, frames: Frames) -> None:
        number, request = messages.unpack_embed(frames)
        key = (client, number)
        try:
            ticket = self._engine.submit(request, self._make_deliver(key))
        except (ProcessError, ModelsError) as error:
            self._post(client, messages.pack_refusal(number, error))
            return
        with self._lock:
            # It may have been answered already; then there is nothing to cancel.
            if not ticket.over:
                self._tickets[key] = ticket

    def _make_deliver(self, key: RequestKey) -> Callable[[EmbedResult | ProcessError], None]:
        client, number = key

        def deliver(answer: EmbedResult | ProcessError) -> None:
            with self._lock:
                self._tickets.pop(key, None)
            if isinstance(answer, ProcessError):
                self._outbox.append((client, messages.pack_refusal(number, answer)))
            else:
                self._outbox.append((client, messages.pack_result(number, answer)))
            self._wakeup.ring()

        return deliver

    def _post(self, client: bytes, frames: Frames) -> None:
        self._socket.send_multipart([client, *frames])

    def _send_outbox(self) -> None:
        while self._outbox:
            client, frames = self._outbox.popleft()
            self._post(client, frames)

    def _tick(self) -> None:
        defect = self._engine.health.find_defect()
        if defect is not None:
            # At once, because the thread that owns the device may never return. Clients see the socket close, and the
            # supervisor starts another engine.
            log.critical("this engine gives up", extra={"reason": defect})
            self._give_up(1)
        if self._find_failure() is not None:
            self.stop()
        status = self._build_status()
        if status is not None and (
            self._status is None or (status.readiness, status.models) != (self._status.readiness, self._status.models)
        ):
            for client in self._clients:
                self._post(client, messages.pack_status(status))
            self._write_record(status)
        self._status = status
        oldest = time.monotonic() - CLIENT_SILENCE_S
        for client in [client for client, heard in self._clients.items() if heard < oldest]:
            del self._clients[client]
            self._drop(client)
        if self._parent is not None and os.getppid() != self._parent:
            self._parent = None
            log.warning("the process that started this engine has ended")
            self.stop()

    def _drop(self, client: bytes) -> None:
        """Cancel a silent client's requests, and send it the refusals in case it still lives and waits."""
        with self._lock:
            dropped = {key: self._tickets.pop(key) for key in list(self._tickets) if key[0] == client}
        for (_, number), ticket in dropped.items():
            self._engine.cancel(ticket)
            refusal = EngineStoppedError(f"this worker sent the engine nothing for {CLIENT_SILENCE_S:.0f} s")
            self._post(client, messages.pack_refusal(number, refusal))

    def _build_status(self) -> EngineStatus | None:
        """Build what clients are told; None until the states of the models have been read once."""
        models, engine = self._reader.statuses, self._engine
        return None if models is None else EngineStatus(engine.get_default_model(), engine.get_readiness(), models)

    def _write_record(self, status: EngineStatus) -> None:
        if self._record is None or not status.readiness.ready:
            return
        loaded = [name for name, model in status.models.items() if model.state == "loaded"]
        names = dict.fromkeys([*loaded, *self._engine.health.preloading])
        try:
            write_file(self._record, "\n".join(names))
        except OSError as error:  # a full disk must not end the service
            log.warning("the loaded models cannot be recorded", extra={"error": str(error)})
