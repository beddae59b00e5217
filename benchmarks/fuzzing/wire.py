"""Targets behind a gunicorn that runs: HTTP as bytes, and the sockets of the engine and of the estimators."""

import base64
import random
import re
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks import inputs
from benchmarks.fuzzing import protocols
from benchmarks.fuzzing.mutations import damage
from benchmarks.fuzzing.service import pack
from benchmarks.fuzzing.targets import FaultError, Make, Send, Target
from tests.running import Service, running

# Longer than any deadline of a head or a body of these sizes (app.worker, app.intake.connection).
_PATIENCE_S = 30.0
_CHUNK_BYTES = 50
_STATUS_LINE = re.compile(rb"^HTTP/1\.[01] (\d{3}) ")
_WORDS = (
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"0\r\n\r\n",
        b"\r\n5\r\nhello",
        b"Transfer-Encoding: chunked\r\n",
        b"FFFFFFFFFFFFFFFFF\r\n",
    ),
    *(
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Host: a\r\nHost: b\r\n",
        b" HTTP/1.0",
        b"HTTP/2.0",
        b"Connection: close\r\n",
    ),
    *(
        b";ext=1",
        b"%00",
        b"\x00",
        b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"Upgrade: websocket\r\n",
        b"SCRIPT_NAME: /x\r\n",
    ),
    *(b"Content-Encoding: zstd\r\n", b"X-Forwarded-For: 1.2.3.4\r\n", b"OPTIONS * ", b"http://x/", b"\xff", b": "),
)


def _write_request(path: str, body: bytes, *, headers: str, chunked: bool) -> bytes:
    if chunked:
        pieces = [body[at : at + _CHUNK_BYTES] for at in range(0, len(body), _CHUNK_BYTES)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        length = "Transfer-Encoding: chunked"
    else:
        length = f"Content-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n\r\n".encode() + body


def _list_requests() -> list[bytes]:
    text = orjson.dumps({"text": ["A", "house"], "sign_language": "ase"})
    clip = base64.b64encode(inputs.reduced_clips(1, 2)[0]).decode()
    form = inputs.multipart([b"no pose"], "cut")
    requests = []
    for chunked in (True, True, False):
        for path, body, headers in (
            ("/api/embed/text", text, "Content-Type: application/json\r\n"),
            ("/api/embed/text", pack(text, "gzip"), "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"),
            ("/api/embed/pose", form, "Content-Type: multipart/form-data; boundary=cut\r\n"),
            (
                "/api/embed/pose",
                orjson.dumps({"pose": clip}),
                "Content-Type: application/json\r\nExpect: 100-continue\r\n",
            ),
            ("/api/embed/pose", b"no pose" * 20, "Content-Type: application/octet-stream\r\n"),
        ):
            requests.append(_write_request(path, body, headers=headers, chunked=chunked))
    requests.append(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + requests[0])  # one after the other
    return requests


def exchange(address: tuple[str, int] | str, data: bytes) -> bytes:
    """Send bytes, then the end; returns all that comes back until the other end closes.

    Raises:
        FaultError: the other end neither answers nor closes.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(_PATIENCE_S)
        client.connect(address)
        received = bytearray()
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                received += piece
        except TimeoutError as error:
            raise FaultError(f"neither an answer nor an end within {_PATIENCE_S:g} s") from error
        except ConnectionError:  # it closed before it had read all, as it may
            pass
        return bytes(received)


def judge_answers(received: bytes) -> str:
    """Check the first answer that came back over HTTP; returns its status.

    Raises:
        FaultError: it is no HTTP, or a failure of the service without a name of its own.
    """
    if not received:
        return "closed"
    found = _STATUS_LINE.match(received)
    if found is None:
        raise FaultError(f"no HTTP: {received[:60]!r}")
    if b'"code":"internal"' in received or b'"code": "internal"' in received or found[1] == b"500":
        raise FaultError(f"an answer without a name of its own: {received[:600]!r}")
    return found[1].decode()


def _list_pids(service: Service) -> set[int]:
    return {process.pid for process in service.everyone()}


@contextmanager
def _running_service() -> Iterator[Service]:
    """Run the service; at the end, the same processes must live and answer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {
            "SIGNCLIP_VIDEO_WORKERS": "1",
            "SIGNCLIP_SEARCH_DIR": str(folder / "search"),
            "SIGNCLIP_THREADS": "1",
        }
        with running(folder, settings) as service:
            service.wait_until_ready()
            before = _list_pids(service)
            yield service
            status, _, _ = service.ask("/api/embed/text", {"text": "A"})
            if status != 200 or not service.ready():
                raise FaultError(f"a good request is answered {status} at the end")
            if lost := before - _list_pids(service):
                log = service.log.read_text(encoding="utf-8", errors="replace")
                raise FaultError(f"processes {lost} have ended: {log[-2000:]}")


@contextmanager
def _open_http() -> Iterator[tuple[Make, Send]]:
    seeds = _list_requests()

    def make(rng: random.Random) -> bytes:
        return damage(rng, rng.choice(seeds), words=_WORDS, others=seeds)

    with _running_service() as service:
        yield make, lambda data: judge_answers(exchange(("127.0.0.1", service.port), data))


@contextmanager
def _open_socket(name: str, seeds: Sequence[bytes]) -> Iterator[tuple[Make, Send]]:
    """A socket of the service, spoken to as a process that has gone mad would."""

    def make(rng: random.Random) -> bytes:
        several = b"".join(rng.choice(seeds) for _ in range(rng.randint(1, 3)))
        return damage(rng, several, words=protocols.JSON_WORDS, others=seeds)

    with _running_service() as service:
        (path,) = service.temporary.rglob(f"{name}.sock")

        def send(data: bytes) -> str:
            return "answered" if exchange(str(path), data) else "closed"

        yield make, send


TARGETS = (
    Target("http", 8, _open_http),
    Target("engine-socket", 4, lambda: _open_socket("engine0", protocols.list_engine_seeds())),
    Target("estimators-socket", 2, lambda: _open_socket("estimators", protocols.list_estimator_seeds())),
)
