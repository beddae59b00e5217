"""The counters that Prometheus reads: right numbers, no user's words."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.counters import AnsweredRequest, RequestMetrics
from engine.metrics import EngineMetrics
from processes.version import VERSION

ROOT = Path(__file__).resolve().parents[3]


def samples(client: FlaskClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    page = client.get("/metrics")
    assert page.status_code == 200
    assert page.content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.get_data(as_text=True))
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_status(client: FlaskClient) -> None:
    client.post("/api/embed/text", json={"text": ["house", "sun"]})
    client.post("/api/embed/text", json={"text": 5})
    found = samples(client)
    route = ("route", "/api/embed/text")
    assert found["signclip_requests_total", (("method", "POST"), route, ("status", "200"))] == 1
    assert found["signclip_requests_total", (("method", "POST"), route, ("status", "422"))] == 1
    assert sum(value for (name, labels), value in found.items() if name == "signclip_items_total") >= 2
    assert found["signclip_request_seconds_count", (route,)] == 2
    assert [v for (name, labels), v in found.items() if name == "signclip_failures_total" and route in labels] == [1]


def test_unknown_paths_do_not_become_labels(client: FlaskClient) -> None:
    client.get("/no/such/secret-place")
    assert "secret-place" not in client.get("/metrics").get_data(as_text=True)
    assert samples(client)["signclip_requests_total", (("method", "GET"), ("route", "none"), ("status", "404"))] == 1


def test_the_engines_counters_stand_beside(client: FlaskClient) -> None:
    assert "signclip_engine_" in client.get("/metrics").get_data(as_text=True)


def test_the_estimators_counters_stand_beside(client: FlaskClient) -> None:
    assert samples(client)["signclip_estimator_queue_videos", ()] == 0


def test_every_name_is_documented(client: FlaskClient) -> None:
    documented = set(re.findall(r"`(signclip_\w+\*?)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))
    metrics = EngineMetrics()
    for name in ("ready", "queue_items", "queue_tokens", "text_cache_items", "models_loaded"):
        metrics.watch(name, "", lambda: 0.0)
    client.post("/api/embed/text", json={"text": []})
    requests = CollectorRegistry()
    RequestMetrics(requests).count(AnsweredRequest("GET", "/", 200, 0.1, code=None, model=None, items=1, key="alice"))
    keys = "".join(line for line in generate_latest(requests).decode().splitlines(True) if "_key_" in line)
    page = client.get("/metrics").get_data(as_text=True) + metrics.export() + keys
    counted = {
        family.name + ("_total" if family.type == "counter" else "") for family in text_string_to_metric_families(page)
    }
    counted = {name for name in counted if not name.endswith("_created")}
    assert {name for name in counted if "_process_" not in name} == {name for name in documented if "*" not in name}


def test_the_version_that_serves_is_on_the_page(client: FlaskClient) -> None:
    found = {dict(labels)["version"]: value for (name, labels), value in samples(client).items() if "build" in name}
    assert found == {VERSION: 1}


def test_prometheus_itself_reads_the_page(client: FlaskClient) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    client.post("/api/embed/text", json={"text": "sun"})
    page = client.get("/metrics").text
    done = subprocess.run([program, "check", "metrics"], input=page, capture_output=True, text=True)
    assert "error" not in done.stderr.lower(), done.stderr
