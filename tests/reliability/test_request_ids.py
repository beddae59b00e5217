"""A request's id and its place in a trace go with it through all processes."""

from __future__ import annotations

import base64
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from engine import messages
from engine.batcher import Batcher
from engine.budget import BatchBudget
from engine.cache import TextCache
from engine.interface import EmbedRequest
from engine.queue import WaitingItems
from tests.engine.fakes import POISON, FakeModels, Receiver, text, texts, until
from tests.running import Service
from tests.trace_collector import Collector

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def list_spans() -> list[dict[str, Any]]:
    """The spans that the collector has, each with the name of the process that sent it."""
    spans = []
    for body in Collector.bodies:
        for group in json.loads(body)["resourceSpans"]:
            facts = {entry["key"]: entry["value"] for entry in group["resource"]["attributes"]}
            for scope in group["scopeSpans"]:
                spans += [{**span, "service": facts["service.name"]["stringValue"]} for span in scope["spans"]]
    return spans


def ask(service: Service, path: str, document: object, headers: dict[str, str]) -> int:
    address = f"http://127.0.0.1:{service.port}{path}"
    request = urllib.request.Request(
        address, json.dumps(document).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code


def test_the_engines_spans_stand_below_the_web_workers(traced_service):
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "through-all"}
    # Each web worker hears of the engine by itself, and nobody knows which one answers.
    until(lambda: all(ask(traced_service, "/api/embed/text", {"text": ["A"]}, {}) == 200 for _ in range(20)))
    assert ask(traced_service, "/api/embed/text", {"text": ["A", "B"]}, headers) == 200

    def list_mine() -> dict[str, dict[str, Any]]:
        return {span["name"]: span for span in list_spans() if span["traceId"] == TRACE}

    until(lambda: len(list_mine()) == 4)
    spans = list_mine()
    server = spans["POST /api/embed/text"]
    assert server["parentSpanId"] == CALLER
    assert {name: spans[name]["service"] for name in spans} == {
        "POST /api/embed/text": "signclip",
        "prepare": "signclip",
        "queue": "signclip-engine",
        "forward": "signclip-engine",
    }
    for name in ("prepare", "queue", "forward"):
        assert spans[name]["parentSpanId"] == server["spanId"]
        assert int(server["startTimeUnixNano"]) <= int(spans[name]["startTimeUnixNano"])
        assert int(spans[name]["endTimeUnixNano"]) <= int(server["endTimeUnixNano"])
    facts = {entry["key"]: entry["value"] for entry in spans["forward"]["attributes"]}
    assert facts["signclip.request_id"]["stringValue"] == "through-all"


def test_the_log_of_the_estimators_names_the_request(traced_service):
    document = {"video": base64.b64encode(b"no video").decode()}
    # A service is ready before its estimators are.
    until(lambda: ask(traced_service, "/api/embed/video", document, {"X-Request-ID": "of-a-video"}) != 503)
    lines = [line for line in traced_service.log.read_text().splitlines() if "of-a-video" in line]
    loggers = {json.loads(line)["logger"]: json.loads(line) for line in lines}
    assert set(loggers) == {"signclip.access", "video.local"}
    assert loggers["signclip.access"]["status"] == 422
    assert loggers["video.local"]["code"] == loggers["signclip.access"]["code"]


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    waiting = WaitingItems(max_items=100, max_tokens=1000)
    batcher = Batcher(FakeModels("m"), TextCache(0), waiting=waiting, budget=BatchBudget(target_s=1.0, first=64))
    yield batcher
    batcher.stop(drain=False)


def test_the_log_of_the_engine_names_the_requests_whose_items_fail(batcher, caplog):
    bad = Receiver(EmbedRequest("m", "text", [text(5, 5), text(POISON, 5), text(6, 6)], request_id="bad-one"))
    good = Receiver(EmbedRequest("m", "text", texts(2), request_id="good-one"))
    with caplog.at_level(logging.WARNING):
        for receiver in (bad, good):
            batcher.submit(receiver.request, receiver)
        assert set(bad.result().failures) == {1}
        assert not good.result().failures
    (line,) = [entry for entry in caplog.records if entry.message == "items failed"]
    assert (line.request_id, line.items, line.failed, line.code) == ("bad-one", [1], 1, "item_failed")


@pytest.mark.parametrize("names", [{}, {"request_id": "a", "traceparent": f"00-{TRACE}-{CALLER}-01"}])
def test_names_of_requests_pass_the_socket(names):
    sent = EmbedRequest("m", "text", [np.arange(3, dtype=np.int32)], **names)
    frames = [memoryview(frame).cast("B") for frame in messages.pack_embed(1, sent)]
    received = messages.unpack_embed(frames)[1]
    assert (received.request_id, received.traceparent) == (sent.request_id, sent.traceparent)
