"""The server of an engine: one loop moves messages between web workers and the owner thread."""

import gc
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from engine import messages
from engine.connections import Answer, Connection, Gathering, listen
from engine.interface import EmbedRequest, EmbedResult
from engine.local import LocalEngine
from engine.reporting import StatusReporting
from engine.tickets import Ticket
from engine.wakeup import Wakeup
from processes.errors import EngineStoppedError, MessageError
from processes.heartbeat import Heartbeat
from processes.streams import Buffer, Frames, MessageStream

log = logging.getLogger(__name__)
# Clients greet every second. The requests of a client that has sent nothing for this long, in seconds, are cancelled.
CLIENT_SILENCE_S = 5.0
# How often the loop checks for changed states and silent clients when no message comes, in seconds.
TICK_S = 0.1
# When requests come faster than two in this time, in seconds, the loop lets them gather for as long. Each look at the
# sockets wakes two threads, which costs as much as three more texts in one message.
GATHER_S = 0.002
# How long clients may take to read their last answers when the engine stops, in seconds.
_LINGER_S = 2.0
# A request, whose it is, and its number there.
_Request = tuple[Connection, int, EmbedRequest]


class EngineServer:
    """Serves a LocalEngine on a Unix socket.

    Args:
        address: `ipc://PATH` in a directory that only this user may enter.
        parent: process id whose end ends this server; None: it runs until it is stopped.
        record: file that names the loaded models, for the supervisor, which starts the next engine with them.
        ends_on_failure: whether `serve` ends when the engine finds that it cannot be made ready.
    Raises:
        OSError: the address cannot be listened on.
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
        self._reporting = StatusReporting(engine, record)
        self._ends_on_failure = ends_on_failure
        self._listener = listen(address.removeprefix("ipc://"))
        self._wakeup = Wakeup()
        self._heartbeat = Heartbeat(address.removeprefix("ipc://"))
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(self._wakeup.fd, select.EPOLLIN)
        # Guards what other threads share: the tickets and answers of clients, and these two sets.
        self._lock = threading.Lock()
        self._clients: dict[int, Connection] = {}
        self._answered: set[Connection] = set()
        self._stalled: set[Connection] = set()
        self._gathering = Gathering(GATHER_S)
        self._stopping = threading.Event()
        self._draining = False
        self._give_up: Callable[[int], object] = os._exit
        engine.watch_answers(self._send_answers)

    def stop(self) -> None:
        """Answer what was admitted, then end `serve`. Safe to call from a signal handler."""
        self._stopping.set()

    def serve(self) -> str | None:
        """Move messages until stopped; returns when every admitted request has been answered.

        Returns:
            why the engine could not be made ready, if that ended it; else None.
        """
        drained = threading.Event()
        ticked = 0.0
        self._reporting.start()
        while not drained.is_set():
            self._move_messages(TICK_S)
            if time.monotonic() - ticked >= TICK_S:
                ticked = time.monotonic()
                self._tick()
                if self._stopping.is_set() and not self._draining:
                    self._drain(drained)
        self._reporting.stop()
        end = time.monotonic() + _LINGER_S
        while any(client.stream.has_unsent for client in self._clients.values()) and time.monotonic() < end:
            self._move_messages(TICK_S)
        for client in list(self._clients.values()):
            self._forget(client)
        self._listener.close()
        self._epoll.close()
        self._wakeup.close()
        return self._find_failure()

    def _find_failure(self) -> str | None:
        return self._engine.health.start_failure if self._ends_on_failure else None

    def _drain(self, drained: threading.Event) -> None:
        self._draining = True
        log.info("draining", extra={"requests": sum(len(client.tickets) for client in self._clients.values())})

        def close() -> None:
            self._engine.close()
            drained.set()
            self._wakeup.ring()

        threading.Thread(target=close, name="engine-drain", daemon=True).start()

    def _move_messages(self, timeout_s: float) -> None:
        """Wait for something to do, and do it."""
        events = self._epoll.poll(timeout_s)
        if any(fd in self._clients for fd, _ in events):
            self._gathering.wait()
        requests: list[_Request] = []
        for fd, event in events:
            if fd == self._wakeup.fd:
                self._wakeup.clear()
            elif fd == self._listener.fileno():
                self._accept()
            elif fd in self._clients:
                self._follow(self._clients[fd], event, requests)
        if requests:
            self._gathering.note(len(requests), time.monotonic())
            self._submit(requests)
        self._watch_stalled()

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                stream = MessageStream(self._listener.accept()[0])
                self._clients[stream.fileno()] = Connection(stream, time.monotonic())
                self._epoll.register(stream, select.EPOLLIN)

    def _follow(self, client: Connection, event: int, requests: list[_Request]) -> None:
        """Receive what a client sent, and send what it can take now."""
        try:
            if event & select.EPOLLOUT and client.stream.flush():
                self._epoll.modify(client.stream, select.EPOLLIN)
            received, is_there = client.stream.receive()
        except OSError:
            received, is_there = [], False
        except MessageError as error:
            log.warning("a connection without messages", extra={"error": str(error)})
            received, is_there = [], False
        if received:
            client.heard = time.monotonic()
        for frames in received:
            try:
                self._handle(client, frames, requests)
            except MessageError as error:
                log.warning("a malformed message", extra={"error": str(error)})
        if not is_there:
            requests[:] = [request for request in requests if request[0] is not client]
            self._forget(client)

    def _handle(self, client: Connection, frames: Frames, requests: list[_Request]) -> None:
        kind = bytes(frames[0]) if frames else b""
        if kind == messages.EMBED:
            requests.append((client, *messages.unpack_embed(frames)))
        elif kind == messages.CANCEL:
            self._submit(requests)  # the request may be among them
            requests.clear()
            number = messages.unpack_header(frames, 2).get("number")
            with self._lock:
                ticket = client.tickets.pop(number, None) if isinstance(number, int) else None
            if ticket is not None:
                self._engine.cancel(ticket)
        elif kind == messages.HELLO:
            status = self._reporting.get_status()
            if status is not None:  # else the client greets again
                self._send(client, messages.pack_status(status))
        elif kind == messages.METRICS:
            number, _ = messages.unpack_metrics(frames)
            self._send(client, messages.pack_metrics(number, self._engine.export_metrics()))
        else:
            raise MessageError(f"a message of unknown kind {kind[:8]!r}")

    def _submit(self, requests: Sequence[_Request]) -> None:
        admitted = self._engine.submit_all(
            [(request, partial(self._keep_answer, client, number)) for client, number, request in requests]
        )
        refused = False
        with self._lock:
            for (client, number, _), ticket in zip(requests, admitted, strict=True):
                if isinstance(ticket, Ticket):
                    # It may have been answered already; then there is nothing to cancel.
                    if not ticket.over:
                        client.tickets[number] = ticket
                else:
                    refused = True
                    client.answers.append((number, ticket))
                    self._answered.add(client)
        if refused:
            self._send_answers()

    def _keep_answer(self, client: Connection, number: int, answer: Answer) -> None:
        with self._lock:
            client.tickets.pop(number, None)
            client.answers.append((number, answer))
            self._answered.add(client)

    def _send_answers(self) -> None:
        """Send what was answered, to each client in one message. Called in the thread that made the answers."""
        with self._lock:
            outgoing = [(client, client.answers) for client in self._answered]
            self._answered.clear()
            for client, _ in outgoing:
                client.answers = []
        for client, answers in outgoing:
            results = [(number, answer) for number, answer in answers if isinstance(answer, EmbedResult)]
            if results:
                self._send(client, messages.pack_results(results))
            for number, answer in answers:
                if not isinstance(answer, EmbedResult):
                    self._send(client, messages.pack_refusal(number, answer))

    def _send(self, client: Connection, frames: Sequence[Buffer]) -> None:
        try:
            has_left = client.stream.send(frames)
        except OSError:
            return  # the client has vanished; the loop finds that out itself
        if not has_left:
            with self._lock:
                self._stalled.add(client)
            self._wakeup.ring()

    def _watch_stalled(self) -> None:
        """Wait until clients that read slowly can take more."""
        if not self._stalled:
            return
        with self._lock:
            stalled, self._stalled = self._stalled, set()
        for client in stalled:
            if self._clients.get(client.stream.fileno()) is client:
                self._epoll.modify(client.stream, select.EPOLLIN | select.EPOLLOUT)

    def _tick(self) -> None:
        self._heartbeat.beat()
        defect = self._engine.health.find_defect()
        if defect is not None:
            # At once, because the thread that owns the device may never return. Clients see the socket close, and the
            # supervisor starts another engine.
            log.critical("this engine gives up", extra={"reason": defect})
            self._give_up(1)
        if self._find_failure() is not None:
            self.stop()
        status = self._reporting.find_change()
        if status is not None:
            # What an engine has when it is ready lives on; it need not be searched for garbage again and again.
            gc.freeze()
            for client in self._clients.values():
                self._send(client, messages.pack_status(status))
        oldest = time.monotonic() - CLIENT_SILENCE_S
        for client in self._clients.values():
            if client.tickets and client.heard < oldest:
                self._drop(client)
        if self._parent is not None and os.getppid() != self._parent:
            self._parent = None
            log.warning("the process that started this engine has ended")
            self.stop()

    def _drop(self, client: Connection) -> None:
        """Cancel a silent client's requests, and send it the refusals in case it still lives and waits."""
        refusal = EngineStoppedError(f"this worker sent the engine nothing for {CLIENT_SILENCE_S:.0f} s")
        for number in self._cancel_all(client):
            self._send(client, messages.pack_refusal(number, refusal))

    def _forget(self, client: Connection) -> None:
        """Close the connection of a client that has vanished, and cancel its requests."""
        del self._clients[client.stream.fileno()]
        self._epoll.unregister(client.stream)
        client.stream.close()
        self._cancel_all(client)

    def _cancel_all(self, client: Connection) -> list[int]:
        with self._lock:
            dropped = dict(client.tickets)
            client.tickets.clear()
        for ticket in dropped.values():
            self._engine.cancel(ticket)
        return list(dropped)
