"""One line a request, with facts and without what a user sent."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from processes.logs import build_logging_config

SECRET = "Geheimnis"


@pytest.fixture
def lines(caplog):
    """Everything logged, as it is written: JSON objects."""
    config = build_logging_config("INFO")["formatters"]["json"]
    from pythonjsonlogger.json import JsonFormatter

    formatter = JsonFormatter(config["format"], rename_fields=config["rename_fields"])
    caplog.set_level(logging.INFO)
    return lambda: [json.loads(formatter.format(entry)) for entry in caplog.records]


def test_a_request_is_one_line_of_facts(client, lines):
    answer = client.post("/api/embed/text", json={"text": ["house", "sun"]}, headers={"X-Request-ID": "abc"})
    (line,) = lines()
    assert line.pop("duration_ms") > 0
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "signclip.access",
        "message": "request",
        "request_id": "abc",
        "method": "POST",
        "route": "/api/embed/text",
        "status": 200,
        "code": None,
        "model": "tiny",
        "items": 2,
        "key": None,
        "bytes_in": len(json.dumps({"text": ["house", "sun"]})),
        "bytes_out": len(answer.data),
    }


def test_probes_are_quiet_unless_something_is_wrong(client, engine, lines, monkeypatch):
    from engine.interface import Readiness

    client.get("/healthz")
    client.get("/readyz")
    engine.ready = Readiness(False, "the engine is starting")
    assert client.get("/readyz").status_code == 503
    assert lines() == []
    monkeypatch.setattr(engine, "get_readiness", lambda: 1 / 0)
    client.get("/readyz")
    assert [line["status"] for line in lines() if line["message"] == "request"] == [500]
    client.get("/api/languages")
    assert lines()[-1]["route"] == "/api/languages"


def test_a_refusal_is_logged_by_its_code(client, lines):
    client.post("/api/embed/text", json={"text": []})
    (line,) = lines()
    assert (line["status"], line["code"]) == (422, "input_invalid")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/embed/text", {"text": SECRET}),
        ("POST", "/api/embed/text", {"text": [SECRET, 1]}),
        ("POST", "/api/embed/text", {"text": SECRET, SECRET: SECRET}),
        ("POST", "/api/embed/text", {"text": SECRET, "model_name": SECRET}),
        ("POST", "/api/embed/text", {"text": SECRET, "sign_language": SECRET}),
        ("POST", "/api/embed/text", {"text": SECRET * 5000}),
        ("POST", "/api/embed/pose", {"pose": SECRET}),
        ("POST", "/api/similarity", {"text": SECRET, "pose": SECRET}),
        ("POST", "/v1/embeddings", {"input": SECRET, "user": SECRET}),
        ("POST", f"/api/embed/text?{SECRET}={SECRET}", {"text": SECRET}),
        ("GET", f"/{SECRET}", None),
        (SECRET.upper(), "/api/embed/text", None),
    ],
)
def test_nothing_a_user_sent_is_logged(client, lines, method, path, body):
    client.open(path, method=method, json=body)
    assert len(lines()) == 1
    assert SECRET.lower() not in str(lines()).lower()
    assert SECRET.lower() not in client.get("/metrics").text.lower()


def test_a_bug_is_logged_where_it_is_but_not_what_it_quotes(client, engine, lines):
    engine.error = KeyError(SECRET)
    answer = client.post("/api/embed/text", json={"text": SECRET}, headers={"X-Request-ID": "abc"})
    failure, access = lines()
    assert (failure["message"], failure["exception"], failure["request_id"]) == ("unforeseen error", "KeyError", "abc")
    assert any("in embed" in place or place.endswith(" embed") for place in failure["places"])
    assert (access["status"], access["code"]) == (500, "internal")
    assert SECRET not in str(lines()) + answer.text


def test_lines_go_out_as_json():
    config = build_logging_config("INFO")
    stream = io.StringIO()
    config["handlers"]["stdout"]["stream"] = stream
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        logging.config.dictConfig(config)
        logging.getLogger("signclip.access").info("request", extra={"status": 200, "model": "ü"})
    finally:
        root.handlers[:], root.level = handlers, level
    line = json.loads(stream.getvalue())
    assert (line["message"], line["status"], line["model"], line["level"]) == ("request", 200, "ü", "INFO")


def test_a_file_of_the_page_is_a_line_too(client, lines):
    version = re.search(r"playground/\w+", client.get("/").text)[0]
    with client.get(f"/{version}/strings.js") as answer:
        assert answer.status_code == 200
    assert [line["route"] for line in lines()] == ["/", "/playground/<version>/<path:name>"]
