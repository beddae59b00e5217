"""The client of an engine in another process; it needs neither torch nor a model's files."""

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from engine import messages
from engine.delivery import Deliver, wait_for
from engine.interface import EmbedRequest, EmbedResult, Readiness
from engine.messages import EngineStatus, Frames
from engine.wakeup import Wakeup
from models.status import ModelStatus
from processes.errors import EngineStoppedError, MessageError

log = logging.getLogger(__name__)
# How often a client greets its engine, in seconds.
GREETING_S = 1.0
# An engine answers each greeting. If it sends nothing for this long, in seconds, it is stuck. The conversion of a model
# may keep it busy for some seconds.
SILENCE_S = 10.0
# How long a refused client should wait, in seconds: an engine with a converted model is back within a few.
RETRY_AFTER_S = 2.0
# How long a worker that starts together with its engine waits for the engine's first status, in seconds.
FIRST_STATUS_S = 15.0
# How long a client waits for the engine's counters, in seconds; Prometheus waits 10 by default.
METRICS_S = 2.0
_RESTARTING = "the engine is restarting"


@dataclass(eq=False)
class _Pending:
    number: int
    deliver: Callable[[Any], None]


class EngineClient:
    """An Engine behind a socket. Build it after a fork, never before. Every method may be called from any thread.

    One thread owns the socket. When the connection to the engine breaks, requests in flight fail at once. An answer to
    a request that was cancelled is dropped.

    Args:
        address: the `ipc://` address that the engine listens on.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._outbox: deque[Frames] = deque()
        self._status: EngineStatus | None = None
        self._first_status = threading.Event()
        self._connected = False
        self._heard = time.monotonic()
        self._closing = threading.Event()
        self._wakeup = Wakeup()
        self._thread = threading.Thread(target=self._own_socket, name="engine-client", daemon=True)
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """Requests that wait for the engine's answer."""
        return len(self._pending)

    def embed(self, request: EmbedRequest, is_disconnected: Callable[[], bool] | None = None) -> EmbedResult:
        """Send a request to the engine and wait for its answer; see Engine.embed."""
        return wait_for(lambda deliver: self._submit(request, deliver), self._cancel, request.deadline, is_disconnected)

    def get_default_model(self) -> str:
        """Get the name of the model that answers when a request names none; see Engine.get_default_model."""
        return self._get_status().default_model

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        """List the status of every model of the catalog, by name; see Engine.list_statuses."""
        return self._get_status().models

    def export_metrics(self) -> str:
        """Fetch the engine's counters in Prometheus' text format; empty while the engine cannot be reached."""
        answered = threading.Event()
        answers: list[object] = []

        def deliver(answer: object) -> None:
            answers.append(answer)
            answered.set()

        pending = _Pending(next(self._numbers), deliver)
        try:
            self._post(pending, messages.pack_metrics(pending.number))
        except EngineStoppedError:
            return ""
        if not answered.wait(METRICS_S):
            self._cancel(pending)
        return next((answer for answer in answers if isinstance(answer, str)), "")

    def get_readiness(self) -> Readiness:
        """Get whether the engine can answer, by its last status, and why not."""
        if not self._connected or self._status is None:
            return Readiness(False, "the engine is starting or restarting")
        silence = time.monotonic() - self._heard
        if silence > SILENCE_S:
            return Readiness(False, _describe_silence(silence))
        return self._status.readiness

    def close(self) -> None:
        """Close the socket; the engine goes on. Requests in flight fail."""
        self._closing.set()
        self._wakeup.ring()
        self._thread.join()

    def _get_status(self) -> EngineStatus:
        """Get the engine's last status, which is true while it restarts, too: its models do not change."""
        if self._status is None and not self._first_status.wait(FIRST_STATUS_S):
            raise EngineStoppedError("the engine has not started yet", retry_after_s=RETRY_AFTER_S)
        status = self._status
        if status is None:
            raise EngineStoppedError("the engine has not started yet", retry_after_s=RETRY_AFTER_S)
        return status

    def _submit(self, request: EmbedRequest, deliver: Deliver) -> _Pending:
        pending = _Pending(next(self._numbers), deliver)
        self._post(pending, messages.pack_embed(pending.number, request))
        return pending

    def _post(self, pending: _Pending, frames: Frames) -> None:
        with self._lock:
            if not self._connected or self._closing.is_set():
                raise EngineStoppedError(_RESTARTING, retry_after_s=RETRY_AFTER_S)
            silence = time.monotonic() - self._heard
            if silence > SILENCE_S:  # the engine is stuck, so the request would wait in vain
                raise EngineStoppedError(_describe_silence(silence), retry_after_s=RETRY_AFTER_S)
            self._pending[pending.number] = pending
            self._outbox.append(frames)
        self._wakeup.ring()

    def _cancel(self, pending: _Pending) -> None:
        with self._lock:
            if self._pending.pop(pending.number, None) is None:
                return
            self._outbox.append(messages.pack_cancel(pending.number))
        self._wakeup.ring()

    def _own_socket(self) -> None:
        context = zmq.Context()
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        # Send to a connected engine only, because a message that waited would reach the next engine too late.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        socket.set_hwm(0)
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        socket.connect(self.address)
        poller = zmq.Poller()
        for source in (socket, monitor, self._wakeup.fd):
            poller.register(source, zmq.POLLIN)
        greeted = 0.0
        while not self._closing.is_set():
            events = dict(poller.poll(int(GREETING_S * 1000 / 2)))
            # Receive before disconnections are followed, because an answer that came before is still good. Send after,
            # because a request must not be sent to an engine that is not there.
            if socket in events:
                self._receive(socket)
            if monitor in events:
                self._follow_connection(monitor)
            if self._wakeup.fd in events:
                self._wakeup.clear()
            if self._connected and time.monotonic() - greeted >= GREETING_S:
                greeted = time.monotonic()
                self._outbox.append(messages.pack_hello())
            self._send_outbox(socket)
            if not self._connected:
                greeted = 0.0
        self._fail_pending("this client is closing")
        socket.disable_monitor()
        monitor.close(linger=0)
        socket.close(linger=0)
        context.term()
        self._wakeup.close()

    def _follow_connection(self, monitor: zmq.Socket[bytes]) -> None:
        while monitor.poll(0):
            event = recv_monitor_message(monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                with self._lock:
                    self._outbox.clear()
                    self._connected = True
                    self._heard = time.monotonic()
            elif event == zmq.EVENT_DISCONNECTED:
                with self._lock:
                    self._connected = False
                    self._outbox.clear()
                if self._status is not None:  # the next engine must report itself that it is ready
                    self._status = replace(self._status, readiness=Readiness(False, _RESTARTING))
                self._fail_pending(_RESTARTING)

    def _fail_pending(self, reason: str) -> None:
        with self._lock:
            failed = list(self._pending.values())
            self._pending.clear()
        for pending in failed:
            pending.deliver(EngineStoppedError(reason, retry_after_s=RETRY_AFTER_S))

    def _send_outbox(self, socket: zmq.Socket[bytes]) -> None:
        while self._outbox:
            try:
                socket.send_multipart(self._outbox[0], zmq.NOBLOCK)
            except zmq.Again:
                return  # no engine is connected; the monitor reports that in a moment, and this is cleared
            self._outbox.popleft()

    def _receive(self, socket: zmq.Socket[bytes]) -> None:
        """Receive every message that has come, then deliver them: threads that wake up would slow this thread down."""
        arrived: list[Frames] = []
        with suppress(zmq.Again):
            while True:
                arrived.append(socket.recv_multipart(zmq.NOBLOCK))
        if arrived:
            self._heard = time.monotonic()
        for frames in arrived:
            try:
                self._handle(frames)
            except MessageError as error:
                log.warning("a malformed message", extra={"error": str(error)})

    def _handle(self, frames: Frames) -> None:
        kind = frames[0] if frames else b""
        answer: EmbedResult | Exception | str
        if kind == messages.STATUS:
            self._status = messages.unpack_status(frames)
            self._first_status.set()
            return
        if kind == messages.RESULT:
            number, answer = messages.unpack_result(frames)
        elif kind == messages.REFUSAL:
            number, answer = messages.unpack_refusal(frames)
        elif kind == messages.METRICS:
            number, answer = messages.unpack_metrics(frames)
        else:
            raise MessageError(f"a message of unknown kind {kind[:8]!r}")
        with self._lock:
            pending = self._pending.pop(number, None)
        if pending is not None:
            pending.deliver(answer)


def _describe_silence(seconds: float) -> str:
    return f"the engine has sent nothing for {seconds:.0f} s"
