"""Fits, reports and automatic thresholds end with the deadline of their request where they can."""

from __future__ import annotations

import time

import pytest

from app.services import EXTENSION
from app.telemetry import get_record
from search.probes import fit_probe
from tests.app.routes.test_collection_routes import ENTRIES, WORDS, make_vector, refused


@pytest.fixture
def signs(client):
    """A collection with ten clips of each of two glosses."""
    client.put(WORDS, json={})
    entries = [{"id": f"v{n}", "vector": make_vector(n), "gloss": f"G{n % 2}"} for n in range(20)]
    assert client.post(ENTRIES, json={"entries": entries}).json["stored"] == 20
    return client


def pass_deadline() -> None:
    get_record().deadline = time.monotonic()


@pytest.mark.parametrize("path", ["fit", "report"])
def test_504_the_deadline_passes_while_the_examples_are_read(signs, monkeypatch, path):
    store = signs.application.extensions[EXTENSION].store
    read = store.read_columns
    monkeypatch.setattr(store, "read_columns", lambda *given, **more: (read(*given, **more), pass_deadline())[0])
    problem = refused(signs.post(f"{WORDS}/{path}"), 504, "deadline_exceeded")
    assert "send the request again" in problem["detail"]


def test_504_the_deadline_passes_between_two_folds_of_a_report(signs, monkeypatch):
    fitted = []

    def fit_slowly(bank):
        fitted.append(bank)
        pass_deadline()
        return fit_probe(bank)

    monkeypatch.setattr("search.probes.fit_probe", fit_slowly)
    refused(signs.post(f"{WORDS}/report", json={"method": "probe"}), 504, "deadline_exceeded")
    assert len(fitted) == 1


def test_a_fit_that_has_begun_is_finished_and_kept(signs, monkeypatch):
    monkeypatch.setattr(
        "app.routes.classify.fit_probe", lambda bank, **more: (pass_deadline(), fit_probe(bank, **more))[1]
    )
    assert signs.post(f"{WORDS}/fit").json["labels"] == 2
    store = signs.application.extensions[EXTENSION].store
    assert store.read_attachment("words", "probe") is not None


@pytest.mark.parametrize("path", ["fit", "report"])
def test_422_a_deadline_that_is_no_number(signs, path):
    answer = signs.post(f"{WORDS}/{path}", headers={"X-Timeout-Ms": "soon"})
    refused(answer, 422, "input_invalid", "X-Timeout-Ms")
