"""Limits of bodies that hold before memory is spent: values of JSON, bytes in flight, packed bodies, speed."""

from __future__ import annotations

import gzip
import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.access.places import HeldBody, HeldBytes, Places
from app.errors import TooManyRequestsError
from app.intake import connection, json_text
from app.intake.structure import MOST_VALUES, count_values
from tests.engine.fakes import until

JSON = {"Content-Type": "application/json"}
RAW = {"Content-Type": "application/octet-stream"}
TEXT, POSE = "/api/embed/text", "/api/embed/pose"

VALUES = st.recursive(
    st.none() | st.integers() | st.text('a,[{}]"\\é', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('k,"\\', max_size=3), inner, max_size=4),
    max_leaves=30,
)


def count_slowly(value: object) -> tuple[int, int]:
    """Lists, objects and the commas in them; and strings."""
    if not isinstance(value, list | dict):
        return 0, isinstance(value, str)
    inner = list(value.values()) if isinstance(value, dict) else value
    counts = [count_slowly(one) for one in inner]
    strings = sum(strings for _, strings in counts) + (len(value) if isinstance(value, dict) else 0)
    return 1 + max(0, len(inner) - 1) + sum(values for values, _ in counts), strings


@given(VALUES, st.integers(0, 12))
def test_values_are_counted_outside_of_strings(value, limit):
    data = json.dumps(value, ensure_ascii=False).encode()
    values, strings = count_slowly(value)
    found = count_values(data, limit=limit)
    if values > limit:
        assert found > limit
    if found > limit:
        assert values + strings > limit


def test_a_long_text_full_of_commas_is_one_value():
    data = b'{"text": "' + b",[{" * MOST_VALUES + b'"}'
    assert count_values(data, limit=MOST_VALUES) <= 4


@pytest.mark.parametrize(
    "bomb",
    [b"[],", b"[[[[[[[[]]]]]]]],", b'{"a":{"b":[]}},', b"{},", b"1.5,", b'"ab",', b'"a""b"', b"[" * 17],
    ids=["lists", "nested lists", "nested objects", "objects", "numbers", "strings", "no commas", "only depth"],
)
def test_a_small_body_of_millions_of_values_is_never_parsed(client, monkeypatch, bomb):
    monkeypatch.setattr(json_text.orjson, "loads", lambda _: pytest.fail("it was parsed"))
    body = gzip.compress(b'{"text": [' + bomb * (3_900_000 // len(bomb)), 1)
    started = time.process_time()
    answer = client.post(TEXT, data=body, headers={**JSON, "Content-Encoding": "gzip"})
    assert time.process_time() - started < 3
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")
    assert "400000 values" in answer.json["detail"]


def test_a_body_of_two_packed_parts_is_read_whole(client, pose_bytes):
    whole = client.post(POSE, data=pose_bytes, headers=RAW).json
    middle = len(pose_bytes) // 2
    for coding, pack in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        body = pack(pose_bytes[:middle]) + pack(pose_bytes[middle:])
        answer = client.post(POSE, data=body, headers={**RAW, "Content-Encoding": coding})
        assert answer.json["embeddings"] == whole["embeddings"], coding


def test_a_zstd_body_of_unknown_size_that_is_cut_is_refused(client, pose_bytes):
    packer = zstandard.ZstdCompressor().compressobj()
    packed = packer.compress(pose_bytes) + packer.flush()
    answer = client.post(POSE, data=packed[: len(packed) * 97 // 100], headers={**RAW, "Content-Encoding": "zstd"})
    assert (answer.status_code, answer.json["code"]) == (400, "body_not_decodable")


def test_bodies_are_refused_when_others_hold_the_memory(make_client, engine, pose_bytes):
    client = make_client(max_held_bytes=3 * len(pose_bytes))
    engine.hold = threading.Event()
    app = client.application
    thread = threading.Thread(target=lambda: app.test_client().post(POSE, data=pose_bytes, headers=RAW))
    thread.start()
    assert engine.entered.wait(60)
    bodies = {
        "with a length": {"data": pose_bytes},
        "in chunks": {
            "input_stream": io.BytesIO(pose_bytes),
            "environ_overrides": {"wsgi.input_terminated": True},
        },
        "packed": {"data": gzip.compress(pose_bytes), "headers": {**RAW, "Content-Encoding": "gzip"}},
    }
    try:
        for sent in bodies.values():
            answer = client.post(POSE, **{"headers": RAW, **sent})
            assert (answer.status_code, answer.json["code"]) == (429, "too_many_requests")
            assert answer.headers["Retry-After"]
    finally:
        engine.hold.set()
        thread.join()
    for sent in bodies.values():
        if "input_stream" not in sent:
            assert client.post(POSE, **{"headers": RAW, **sent}).status_code == 200


def test_memory_is_counted_and_given_back():
    held = HeldBytes(100)
    first, second = HeldBody(held), HeldBody(held)
    first.add(400)  # alone, a body may be as large as its own limit
    with pytest.raises(TooManyRequestsError, match="400 bytes"):
        second.add(1)
    held.release(second)
    assert held.held == 400
    held.release(first)
    assert held.held == 0


def test_one_address_leaves_places_for_others():
    places = Places(4, of_one_address=3, what="requests")
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(places.take("a"))
        with pytest.raises(TooManyRequestsError, match="3 requests from this address"):
            stack.enter_context(places.take("a"))
        stack.enter_context(places.take("b"))
        with pytest.raises(TooManyRequestsError, match="4 requests are handled"):
            stack.enter_context(places.take("c"))
    with places.take("a"):
        pass


def test_one_customer_of_ipv6_leaves_places_for_others(make_client, engine):
    engine.hold = threading.Event()
    client = make_client(max_requests=2, share_of_one_address=0.5)

    def ask(address):
        other = client.application.test_client()
        return other.post(TEXT, json={"text": "sun"}, environ_base={"REMOTE_ADDR": address})

    with ThreadPoolExecutor() as pool:
        try:
            first = pool.submit(ask, "2001:db8::1")
            assert engine.entered.wait(10)
            answer = pool.submit(ask, "2001:db8::2").result(timeout=10)
        finally:
            engine.hold.set()
        assert first.result().status_code == 200
    assert answer.status_code == 429
    assert "from this address" in answer.json["detail"]


def test_a_body_that_trickles_is_ended_before_its_deadline(client, monkeypatch):
    """The client sends one byte now and then; the request may take two minutes, the body may not."""
    monkeypatch.setattr(connection, "GRACE_S", 0.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"{")
        environ = {"gunicorn.socket": ours, "wsgi.input": ours.makefile("rb"), "CONTENT_LENGTH": "1000"}
        monkeypatch.setattr(connection, "LEAST_BYTES_PER_S", 10_000)
        answer = client.post(TEXT, headers=JSON, environ_overrides=environ)
        assert (answer.status_code, answer.json["code"]) == (408, "body_too_slow")
        assert "10000 bytes" in answer.json["detail"]
        environ["wsgi.input"].close()
    until(lambda: not connection._body_deadlines._deadlines)


def test_a_client_that_waits_for_continue_is_told_so_only_when_its_body_is_wanted(client):
    for headers, status, told in ((JSON, 200, True), ({"Content-Type": "text/html"}, 415, False)):
        ours, theirs = socket.socketpair()
        with ours, theirs, ours.makefile("rb") as stream:
            body = b'{"text": "house"}'
            theirs.sendall(body)
            environ = {"gunicorn.socket": ours, "wsgi.input": stream, "CONTENT_LENGTH": str(len(body))}
            answer = client.post(TEXT, headers={**headers, "Expect": "100-continue"}, environ_overrides=environ)
            assert answer.status_code == status
            ours.shutdown(socket.SHUT_WR)
            assert theirs.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n") is told


def test_a_body_of_no_bytes_that_comes_as_a_stream_is_not_called_slow(client):
    ours, theirs = socket.socketpair()
    with ours, theirs:  # as over TLS, where nothing is read from the socket itself
        answer = client.post(
            "/api/embed/text",
            headers={"Content-Type": "application/json", "Content-Length": "0"},
            environ_overrides={"gunicorn.socket": ours},
        )
    assert (answer.status_code, answer.json["detail"]) == (400, "there is no body; send a JSON object")
