"""Both clients against a service that is busy, away, broken or not a service at all."""

from __future__ import annotations

import json
from email.utils import formatdate

import httpx2
import numpy as np
import pytest

from app.error_table import list_error_lines
from signclip_client import (
    AccessError,
    AnswerError,
    BusyError,
    ConflictError,
    DeadlineError,
    FileError,
    InputError,
    Limits,
    MixedModelsError,
    NoAnswerError,
    NoAnswerInTimeError,
    NotFoundError,
    PoseError,
    RequestError,
    ServiceFaultError,
    TextError,
    UnavailableError,
    VideoError,
)
from signclip_client.errors import find_error_class
from signclip_client.retries import compute_pause_s, read_retry_after
from tests.client.conftest import Faulty


def embedded(*, rows: int = 1, signature: str = "s") -> httpx2.Response:
    """An answer with zeros."""
    content = {"embeddings": ["AAAAAA=="] * rows, "dimensions": 1, "model_name": "m", "normalized": True}
    return httpx2.Response(200, json={**content, "signature": signature})


def refused(status: int, code: str, *, retry_after: str | None = None) -> httpx2.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    problem = {"title": "t", "status": status, "code": code, "detail": "d", "request_id": "r"}
    return httpx2.Response(status, json=problem, headers=headers)


BUSY = [
    refused(429, "queue_full", retry_after="2"),
    refused(503, "not_ready", retry_after="2"),
    httpx2.Response(502, text="<html>"),
    httpx2.Response(503, text="<html>"),
    httpx2.ConnectError("refused"),
    httpx2.ReadError("reset"),
    httpx2.RemoteProtocolError("gone"),
]


@pytest.mark.parametrize("fault", BUSY, ids=str)
def test_what_passes_by_itself_is_tried_again(make_client, waits, fault):
    service = Faulty(fault, fault, embedded())
    found = make_client(transport=service.transport).embed_text("house")
    assert found.vectors.shape == (1, 1)
    assert len(waits) == 2
    assert len({request.content for request in service.requests}) == 1


@pytest.mark.parametrize("fault", BUSY, ids=str)
def test_the_tries_end(make_client, waits, fault):
    service = Faulty(*[fault] * 3)
    with pytest.raises((AnswerError, NoAnswerError)):
        make_client(transport=service.transport, limits=Limits(tries=3)).embed_text("house")
    assert (len(waits), service.answers) == (2, [])


@pytest.mark.parametrize(
    "fault",
    [
        refused(422, "pose_truncated"),
        refused(503, "weights_missing"),
        refused(504, "deadline_exceeded"),
        refused(500, "internal", retry_after="1"),
        refused(429, "quota", retry_after="3600"),
        httpx2.ReadTimeout("late"),
    ],
    ids=str,
)
def test_what_waiting_does_not_help_is_not_tried_again(make_client, waits, fault):
    service = Faulty(fault)
    with pytest.raises((AnswerError, NoAnswerInTimeError)):
        make_client(transport=service.transport).embed_text("house")
    assert waits == []


def test_no_pause_is_shorter_than_the_service_asks(monkeypatch):
    pauses = [compute_pause_s(1, 3.0) for _ in range(200)]
    assert min(pauses) >= 3
    assert max(pauses) <= 4.5
    assert len(set(pauses)) > 100
    growing = [max(compute_pause_s(attempt, None) for _ in range(300)) for attempt in (1, 3, 5, 50)]
    assert growing == sorted(growing)
    assert growing[-1] <= 20


@pytest.mark.parametrize(("text", "seconds"), [("3", 3), ("0.5", 0.5), ("-1", 0), ("soon", None), (None, None)])
def test_retry_after_is_read(text, seconds):
    assert read_retry_after({} if text is None else {"retry-after": text}) == seconds


def test_retry_after_may_be_a_date(monkeypatch):
    monkeypatch.setattr("signclip_client.retries.time.time", lambda: 1_800_000_000.0)
    assert read_retry_after({"retry-after": formatdate(1_800_000_030, usegmt=True)}) == 30


def test_a_failure_in_one_part_ends_the_others(make_client, waits):
    service = Faulty(embedded(), refused(422, "not_a_pose"))
    limits = Limits(max_items=1, concurrency=1)
    with pytest.raises(PoseError):
        make_client(transport=service.transport, limits=limits).embed_pose([b"a", b"b", b"c", b"d"])
    assert len(service.requests) == 2


def test_parts_of_different_models_are_never_joined(make_client):
    service = Faulty(embedded(signature="one"), embedded(signature="two"))
    with pytest.raises(MixedModelsError, match="signature"):
        make_client(transport=service.transport, limits=Limits(max_items=1)).embed_text(["a", "b"])


def test_chunks_keep_to_the_bytes(make_client):
    service = Faulty(embedded(rows=2), embedded(), embedded())
    limits = Limits(max_bytes=10, concurrency=1)
    found = make_client(transport=service.transport, limits=limits).embed_pose([b"12345", b"12345", b"1" * 50, b"1"])
    assert [len(json.loads(request.content)["pose"]) for request in service.requests] == [2, 1, 1]
    np.testing.assert_array_equal(found.vectors, np.zeros((4, 1)))


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (httpx2.Response(200, text="<html>welcome"), "welcome"),
        (httpx2.Response(301, headers={"Location": "https://other.example/"}), "https://other.example/"),
        (httpx2.Response(404, text="not here"), "404"),
        (httpx2.Response(404, text="[" * 100_000), "404"),
        (httpx2.Response(200, json=["welcome"]), "no JSON object.*welcome"),
        (httpx2.Response(200, text="[" * 100_000), "no JSON"),
        (httpx2.Response(200, json={"welcome": "here"}), "lacks what this client reads.*dimensions"),
        (httpx2.Response(200, json={"embeddings": ["AA=="], "dimensions": 1}), "lacks what this client reads"),
        (httpx2.Response(422, json={"detail": "elsewhere", "errors": ["text", {"loc": 1}]}), "elsewhere"),
        (httpx2.Response(422, json={"detail": "elsewhere", "errors": {"text": "wrong"}}), "elsewhere"),
    ],
)
def test_another_server_is_recognized(make_client, answer, fragment):
    with pytest.raises(AnswerError, match=fragment):
        make_client(transport=Faulty(answer).transport).embed_text("house")


def test_an_answer_that_cannot_be_unpacked_is_no_answer(make_client, waits):
    broken = httpx2.DecodingError("Error -3 while decompressing data")
    with pytest.raises(NoAnswerError, match="decompressing"):
        make_client(transport=Faulty(broken, broken).transport, limits=Limits(tries=2)).embed_text("house")
    assert make_client(transport=Faulty(broken, embedded()).transport).embed_text("house").vectors.shape == (1, 1)


def test_whoever_waits_for_the_service_waits_as_long_as_was_said(make_client, waits):
    away = refused(503, "not_ready", retry_after="30")
    service = Faulty(away)
    with pytest.raises(UnavailableError):
        make_client(transport=service.transport).wait_until_ready(timeout_s=0.0)
    assert (len(service.requests), waits) == (1, [])
    timeout = service.requests[0].extensions["timeout"]
    assert max(timeout.values()) <= 1.0


def test_who_calls_and_where_stand_in_the_request(make_client):
    service = Faulty(embedded())
    make_client("example.org/signs/", api_key="secret", transport=service.transport).embed_text("house")
    (request,) = service.requests
    assert str(request.url) == "http://example.org/signs/api/embed/text"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"].startswith("signclip-client/")


def test_a_service_that_is_not_there_is_named(make_client, waits):
    fault = httpx2.ConnectError("refused")
    with pytest.raises(NoAnswerError, match=r"http://localhost:3030 in 2 tries: refused.*running"):
        make_client(transport=Faulty(fault, fault).transport, limits=Limits(tries=2)).list_models()


def test_a_file_that_cannot_be_read_is_named(make_client, tmp_path):
    for call in ("embed_pose", "embed_video", "inspect_pose"):
        with pytest.raises(FileError, match=r"missing\.pose cannot be read"):
            getattr(make_client(), call)(tmp_path / "missing.pose")


EXPECTED = {
    "key_refused": AccessError,
    "model_unknown": NotFoundError,
    "language_unknown": NotFoundError,
    "route_unknown": RequestError,
    "body_too_large": RequestError,
    "input_invalid": InputError,
    "text_too_long": TextError,
    "tokens_over_limit": TextError,
    "frames_over_limit": PoseError,
    "pose_version_unknown": PoseError,
    "not_a_pose": PoseError,
    "not_a_video": VideoError,
    "video_empty": VideoError,
    "preview_missing": NotFoundError,
    "collection_unknown": NotFoundError,
    "scope_missing": AccessError,
    "space_mismatch": ConflictError,
    "store_full": UnavailableError,
    "queue_full": BusyError,
    "not_ready": UnavailableError,
    "deadline_exceeded": DeadlineError,
    "internal": ServiceFaultError,
}


def test_every_code_of_the_service_has_its_class():
    codes = {code: line.status for line in list_error_lines() for code in line.codes}
    for code, status in codes.items():
        kind = find_error_class(status, code)
        assert kind is EXPECTED.get(code, kind), code
        assert kind is not AnswerError
        if code.startswith("pose_"):
            assert kind is PoseError
        if code.startswith("video_") and status == 422:
            assert kind is VideoError
    assert set(EXPECTED) <= set(codes)


def test_a_code_of_tomorrow_goes_by_its_status():
    assert find_error_class(422, "bank_empty") is InputError
    assert find_error_class(404, "collection_unknown") is NotFoundError
    assert find_error_class(404, "") is find_error_class(418, "") is RequestError
    assert find_error_class(599, "") is ServiceFaultError
