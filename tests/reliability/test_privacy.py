"""Marked words in everything that a user can send; afterwards they stand nowhere, also after processes were killed."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress

import psutil

from tests.engine.fakes import until
from tests.running import MEMORY, ROOT, Service
from tests.trace_collector import Collector
from tests.video.make_videos import encode, moving

PREFIX = f"kanari-{uuid.uuid4().hex[:8]}"
POSE = ROOT / "tests" / "golden" / "poses" / "ase_A.pose"
BOUNDARY = "cut"


def mark(place: str) -> str:
    """A word that says where it was sent, if it is ever found. It is also a good name for a collection."""
    return f"{PREFIX}-{place}"


def send(service: Service, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
    try:
        connection.request(method, path, body, headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read()
    finally:
        connection.close()


def list_requests() -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    """What users send, good and bad, with a mark in each place."""
    json_type = {"Content-Type": "application/json"}
    clip = base64.b64encode(POSE.read_bytes()).decode()
    for path, document in (
        ("/api/embed/text", {"text": mark("text")}),
        ("/api/embed/text", {"text": [mark("text-in-list"), ""], "sign_language": mark("sign-language")}),
        ("/api/embed/text", {"text": mark("text-too-long") * 2000}),
        ("/api/embed/text", {"text": "A", "model_name": mark("model")}),
        ("/api/embed/text", {"text": "A", mark("key"): mark("value")}),
        ("/api/embed/pose", {"pose": clip, "flip": mark("flip")}),
        ("/api/embed/pose", {"pose": [clip, mark("base64"), base64.b64encode(mark("no-pose").encode()).decode()]}),
        ("/api/embed/video", {"video": base64.b64encode(mark("no-video").encode()).decode()}),
        ("/api/similarity", {"text": [mark("column")], "pose": clip}),
        ("/v1/embeddings", {"input": mark("openai"), "user": mark("user")}),
        ("/api/classify", {"pose": clip, "labels": [mark("label")]}),
        ("/api/spot", {"pose": clip, "query": [mark("query")]}),
        ("/api/search", {"text": mark("search"), "filter": {"gloss": mark("filter")}}),
        ("/api/search", {"text": "A", "collections": [mark("collections")]}),
        ("/api/collections/words/search", {"text": mark("search-one"), "filter": {f"tags.{mark('tag')}": 1}}),
        ("/api/collections/words/entries", {"entries": [{"id": mark("id"), "text": "A", "gloss": mark("gloss")}]}),
        ("/api/collections/words/entries", {"entries": [{"vector": mark("vector"), "source": mark("source")}]}),
        (f"/api/collections/{mark('collection')}/search", {"text": "A"}),
    ):
        yield "POST", path, json.dumps(document).encode(), json_type
    yield "POST", "/api/embed/text", f'{{"text": "{mark("broken-json")}'.encode(), json_type
    yield "GET", f"/{mark('path')}?{mark('parameter')}={mark('parameter-value')}", b"", {}
    yield "POST", f"/api/embed/pose?person={mark('query-option')}", POSE.read_bytes(), {"Content-Type": "x/y"}
    yield "POST", "/api/embed/pose", POSE.read_bytes(), {"Content-Type": "application/octet-stream"}
    yield "POST", "/api/embed/pose", _rename_component(), {"Content-Type": "application/octet-stream"}
    form = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    film = encode(moving(2, 64, 64)) + mark("film").encode()
    for name, content in ((mark("part"), b"x"), ("pose", POSE.read_bytes()), ("pose", mark("pose-body").encode())):
        yield "POST", "/api/embed/pose", _write_form(name, mark("file-name"), content), form
    yield "POST", "/api/embed/video", _write_form("video", mark("video-name"), film), form
    for name in ("User-Agent", "Referer", "Cookie", "X-Own", "X-API-Key", "Accept", "Content-Encoding", "traceparent"):
        yield "POST", "/api/embed/text", b'{"text": "A"}', json_type | {name: mark(f"header-{name}")}
    yield "POST", "/api/embed/text", b'{"text": "A"}', {"Content-Type": mark("content-type"), mark("header"): "x"}


def _rename_component() -> bytes:
    """A pose whose header names a component as the user likes; the length of the name stays."""
    name = b"POSE_WORLD_LANDMARKS"
    data = POSE.read_bytes()
    assert name in data
    return data.replace(name, mark("c").encode()[-len(name) :].rjust(len(name), b"x"))


def _write_form(name: str, file_name: str, content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def find_marks(service: Service) -> list[str]:
    """Where a mark stands: logs, temporary files and their names, shared memory, counters, traces, cores."""
    found = []
    counters = service.ask("/metrics")[2]
    texts = {"the log": service.log.read_bytes(), "the counters": counters, "a trace": b"".join(Collector.bodies)}
    for folder in (service.temporary, MEMORY):
        for path in folder.rglob("*"):
            texts[f"the name of {path}"] = str(path).encode()
            if folder == service.temporary or "signclip" in str(path):
                with suppress(OSError):  # a socket, or gone
                    texts[str(path)] = path.read_bytes()
    for place, text in texts.items():
        if PREFIX.encode() in text:
            at = text.index(PREFIX.encode())
            found.append(f"{place}: {text[max(0, at - 200) : at + 80]!r}")
    return found + [f"a core file: {path}" for path in ROOT.glob("core*") if path.is_file()]


def test_nothing_that_users_send_is_kept(traced_service):
    service = traced_service
    assert service.ask("/api/collections/words")[0] == 404
    assert send(service, "PUT", "/api/collections/words", b"{}", {"Content-Type": "application/json"})[0] == 200
    statuses = {send(service, *request)[0] for request in list_requests()}
    assert {200, 400, 404, 415, 422} <= statuses
    assert 500 not in statuses
    # Of the next request, which has nothing to do with them.
    for path, body in (("/api/embed/text", {"text": 7}), ("/api/embed/pose", {"pose": "AAAA"}), ("/nothing", None)):
        assert PREFIX.encode() not in service.ask(path, body)[2]
    until(lambda: b"/api/embed/text" in b"".join(Collector.bodies))
    assert not find_marks(service)


def test_nothing_is_kept_when_processes_are_killed_with_it(traced_service):
    service = traced_service
    film = _write_form("video", mark("killed-video"), encode(moving(40, 192, 192)))
    texts = json.dumps({"text": [f"{mark('killed-text')} {number}" for number in range(200)]}).encode()
    form = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    jobs = [("/api/embed/video", film, form), *[("/api/embed/text", texts, {"Content-Type": "application/json"})] * 3]
    answers: list[tuple[int, bytes]] = []

    def ask(path: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            answers.append(send(service, "POST", path, body, headers))
        except (OSError, http.client.HTTPException):  # of the worker that is killed
            answers.append((0, b""))

    threads = [threading.Thread(target=ask, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    until(lambda: bool(find_processes(service, "video.worker")))
    killed = [*find_processes(service, "video.worker"), *service.children("engine"), service.children()[0]]
    for process in killed:
        process.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join(120)
    assert len(answers) == len(jobs)
    for status, body in answers:
        assert status != 500
        assert PREFIX.encode() not in body
    service.wait_until_ready()
    assert not find_marks(service)


def find_processes(service: Service, module: str) -> list[psutil.Process]:
    found = []
    for process in service.everyone():
        with suppress(psutil.Error):
            if process.cmdline()[1:3] == ["-m", module]:
                found.append(process)
    return found
