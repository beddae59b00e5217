"""Traces: a span for each request and each of its stages, below the caller's, and no word of a user in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from app import tracing
from processes.settings import SettingsError
from tests.trace_collector import Collector, collecting

pytest.importorskip("opentelemetry.exporter.otlp.json.http", reason="requirements-tracing.txt is not installed")
SECRET = "Geheimnis"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Iterator[str]:
    with collecting() as address:
        yield address


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]}


def test_a_request_and_its_stages_are_spans_below_the_callers(make_client, collector):
    client = make_client(traces=collector, api_keys=(SecretStr("right-key"),))
    headers = {"traceparent": PARENT, "X-API-Key": "right-key", "X-Request-ID": "abc"}
    answer = client.post("/api/embed/text", json={"text": [SECRET, "sun"]}, headers=headers)
    assert answer.status_code == 200
    client.post(f"/api/embed/text?{SECRET}=1", json={SECRET: SECRET}, headers={**headers, "User-Agent": SECRET})
    client.get(f"/{SECRET}")
    client.application.extensions["traces"].flush()
    sent = b"".join(Collector.bodies).decode()
    spans = [
        span
        for body in Collector.bodies
        for group in json.loads(body)["resourceSpans"]
        for scope in group["scopeSpans"]
        for span in scope["spans"]
    ]
    for word in (SECRET, "right-key"):
        assert word not in sent
    first, refused, unknown = (span for span in spans if span["kind"] in (2, "SPAN_KIND_SERVER"))
    assert first["traceId"] == PARENT.split("-")[1]
    assert first["parentSpanId"] == PARENT.split("-")[2]
    assert first["name"] == "POST /api/embed/text"
    facts = attributes(first)
    assert (facts["signclip.model"], facts["signclip.key"], facts["signclip.request_id"]) == ("tiny", "key1", "abc")
    assert (int(facts["http.response.status_code"]), int(facts["signclip.items"])) == (200, 2)
    stages = {span["name"]: span for span in spans if span.get("parentSpanId") == first["spanId"]}
    assert set(stages) == {"prepare", "queue", "forward"}
    assert int(stages["queue"]["endTimeUnixNano"]) <= int(stages["forward"]["startTimeUnixNano"])
    assert attributes(refused)["error.type"] == "input_invalid"
    assert attributes(unknown)["http.route"] == "none"


def test_without_the_packages_the_setting_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.json.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"requirements-tracing.txt"):
        tracing.Traces("http://127.0.0.1:4318/v1/traces")
