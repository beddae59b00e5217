"""The client of an engine in another process; it needs neither torch nor a model's files."""

import itertools
import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from engine import messages
from engine.delivery import Deliver, wait_for
from engine.interface import EmbedRequest, EmbedResult, Readiness
from engine.messages import EngineStatus
from engine.wakeup import Wakeup
from models.status import ModelStatus
from processes.errors import EngineStoppedError, MessageError
from processes.streams import Buffer, Frames, MessageStream
from processes.turns import pause

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
# How long a client waits before it tries again to connect, in seconds.
RECONNECT_S = 0.05
_RESTARTING = "the engine is restarting"


@dataclass(eq=False)
class _Pending:
    number: int
    deliver: Callable[[Any], None]


class EngineClient:
    """An Engine behind a socket. Build it after a fork, never before. Every method may be called from any thread.

    Each thread sends its own requests; one thread owns the socket and receives. When the connection to the engine
    breaks, requests in flight fail at once. An answer to a request that was cancelled is dropped.

    Args:
        address: the `ipc://` address that the engine listens on.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._status: EngineStatus | None = None
        self._first_status = threading.Event()
        # None while no engine is connected.
        self._stream: MessageStream | None = None
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
        with pause():
            is_answered = answered.wait(METRICS_S)
        if not is_answered:
            self._cancel(pending)
        return next((answer for answer in answers if isinstance(answer, str)), "")

    def get_readiness(self) -> Readiness:
        """Get whether the engine can answer, by its last status, and why not."""
        if self._stream is None or self._status is None:
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
        if self._status is None:
            with pause():
                self._first_status.wait(FIRST_STATUS_S)
        status = self._status
        if status is None:
            raise EngineStoppedError("the engine has not started yet", retry_after_s=RETRY_AFTER_S)
        return status

    def _submit(self, request: EmbedRequest, deliver: Deliver) -> _Pending:
        pending = _Pending(next(self._numbers), deliver)
        self._post(pending, messages.pack_embed(pending.number, request))
        return pending

    def _post(self, pending: _Pending, frames: Sequence[Buffer]) -> None:
        with self._lock:
            stream = self._stream
            if stream is None or self._closing.is_set():
                raise EngineStoppedError(_RESTARTING, retry_after_s=RETRY_AFTER_S)
            silence = time.monotonic() - self._heard
            if silence > SILENCE_S:  # the engine is stuck, so the request would wait in vain
                raise EngineStoppedError(_describe_silence(silence), retry_after_s=RETRY_AFTER_S)
            self._pending[pending.number] = pending
        self._send(stream, frames)

    def _send(self, stream: MessageStream, frames: Sequence[Buffer]) -> None:
        """Send in this thread what the socket takes; the owner of the socket sends the rest."""
        with suppress(OSError):  # the connection is broken; its owner finds that out, and fails what is pending
            if not stream.send(frames):
                self._wakeup.ring()

    def _cancel(self, pending: _Pending) -> None:
        with self._lock:
            stream = self._stream
            if self._pending.pop(pending.number, None) is None or stream is None:
                return
        self._send(stream, messages.pack_cancel(pending.number))

    def _own_socket(self) -> None:
        while not self._closing.is_set():
            stream = self._connect()
            if stream is None:
                self._sleep(RECONNECT_S)
                continue
            try:
                self._follow(stream)
            except MessageError as error:
                log.error("the engine sends what is no message", extra={"error": str(error)})
            self._disconnect(stream)
        self._fail_pending("this client is closing")
        self._wakeup.close()

    def _connect(self) -> MessageStream | None:
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError:  # no descriptor is left at the moment
            return None
        # An engine that does not accept, because it is stuck, must not hold up `close`.
        connection.settimeout(GREETING_S)
        try:
            connection.connect(self.address.removeprefix("ipc://"))
        except OSError:
            connection.close()
            return None
        stream = MessageStream(connection)
        with self._lock:
            self._stream = stream
            self._heard = time.monotonic()
        return stream

    def _sleep(self, seconds: float) -> None:
        """Wait, unless this client is closed."""
        poller = select.poll()
        poller.register(self._wakeup.fd, select.POLLIN)
        poller.poll(1000 * seconds)
        self._wakeup.clear()

    def _follow(self, stream: MessageStream) -> None:
        """Move messages until the engine has gone or this client is closed."""
        poller = select.poll()
        poller.register(self._wakeup.fd, select.POLLIN)
        greeted = 0.0
        is_there = True
        while is_there and not self._closing.is_set():
            if time.monotonic() - greeted >= GREETING_S:
                greeted = time.monotonic()
                self._send(stream, messages.pack_hello())
            poller.register(stream, select.POLLIN | (select.POLLOUT if stream.has_unsent else 0))
            events = dict(poller.poll(1000 * GREETING_S / 2))
            if self._wakeup.fd in events:
                self._wakeup.clear()
            # An answer that came before the engine's end is still good.
            if events.get(stream.fileno(), 0) & ~select.POLLOUT:
                is_there = self._receive(stream)
            if events.get(stream.fileno(), 0) & select.POLLOUT:
                with suppress(OSError):
                    stream.flush()

    def _disconnect(self, stream: MessageStream) -> None:
        with self._lock:
            self._stream = None
        if self._status is not None:  # the next engine must report itself that it is ready
            self._status = replace(self._status, readiness=Readiness(False, _RESTARTING))
        if not self._closing.is_set():
            self._fail_pending(_RESTARTING)
        stream.close()

    def _fail_pending(self, reason: str) -> None:
        with self._lock:
            failed = list(self._pending.values())
            self._pending.clear()
        for pending in failed:
            pending.deliver(EngineStoppedError(reason, retry_after_s=RETRY_AFTER_S))

    def _receive(self, stream: MessageStream) -> bool:
        """Receive every message that has come, then deliver them: threads that wake up would slow this thread down.

        Returns:
            Whether the engine is still there.
        """
        received, is_there = stream.receive()
        if received:
            self._heard = time.monotonic()
        answers: list[tuple[int, Any]] = []
        for frames in received:
            try:
                answers += self._read(frames)
            except MessageError as error:
                log.warning("a malformed message", extra={"error": str(error)})
        with self._lock:
            found = [(self._pending.pop(number, None), answer) for number, answer in answers]
        for pending, answer in found:
            if pending is not None:
                pending.deliver(answer)
        return is_there

    def _read(self, frames: Frames) -> Sequence[tuple[int, Any]]:
        """Read a message; returns answers with the numbers of their requests."""
        kind = bytes(frames[0]) if frames else b""
        if kind == messages.RESULTS:
            return messages.unpack_results(frames)
        if kind == messages.REFUSAL:
            return [messages.unpack_refusal(frames)]
        if kind == messages.METRICS:
            return [messages.unpack_metrics(frames)]
        if kind == messages.STATUS:
            self._status = messages.unpack_status(frames)
            self._first_status.set()
            return []
        raise MessageError(f"a message of unknown kind {kind[:8]!r}")


def _describe_silence(seconds: float) -> str:
    return f"the engine has sent nothing for {seconds:.0f} s"
