"""A device that this machine lacks, without gunicorn: the engine is then built in the web server's own process."""

from __future__ import annotations

import base64

import pytest

from app import create_app
from app.services import Services
from app.settings import ServiceSettings
from engine.settings import EngineSettings
from models.errors import BackendError

# No machine has so many GPUs.
DEVICE = "cuda:99"


@pytest.fixture
def client(app_settings):
    return create_app(app_settings.model_copy(update={"devices": (DEVICE,)})).test_client()


def bodies(pose: bytes) -> dict[str, dict[str, object]]:
    """A good body for every route that takes one."""
    clip = base64.b64encode(pose).decode()
    return {
        "/api/embed/text": {"text": "house"},
        "/api/embed/pose": {"pose": clip},
        "/api/similarity": {"text": "house", "pose": clip},
        "/api/pose/inspect": {"pose": clip},
        "/v1/embeddings": {"input": "house"},
        "/api/classify": {"pose": clip, "labels": ["house", "tree"]},
        "/api/score": {"pose": clip, "reference_text": "house"},
        "/api/spot": {"pose": clip, "query": ["house"]},
    }


def test_every_route_answers_what_it_can_and_says_what_is_missing(client, pose_bytes):
    without_engine = {
        "/",
        "/docs",
        "/openapi.json",
        "/healthz",
        "/metrics",
        "/api/languages",
        "/api/pose/inspect",
        "/v1/models",
        "/samples",
        "/api/collections",
    }
    # They need the estimators before the engine, and the estimators need a video that is one.
    videos = {"/api/pose", "/api/embed/video"}
    # Routes of a model, a sample or a collection look for its name first.
    paths = {rule.rule for rule in client.application.url_map.iter_rules() if "<" not in rule.rule}
    for path in sorted(paths - videos - {"/api/search"}):
        body = bodies(pose_bytes).get(path)
        answer = client.get(path) if body is None else client.post(path, json=body)
        if path in without_engine:
            assert answer.status_code in (200, 302), path
        else:
            assert (answer.status_code, answer.json["code"]) == (503, "backend_unavailable"), path
            assert f"'{DEVICE}'" in answer.json["detail"]


def test_a_video_for_the_default_model_is_refused_before_it_is_estimated(app_settings):
    engine = EngineSettings(weights_dir=app_settings.engine.weights_dir, device=DEVICE)
    settings = ServiceSettings(engine=engine)
    client = create_app(settings, estimators=object()).test_client()  # type: ignore[arg-type]
    answer = client.post("/api/embed/video", data=b"no video", content_type="video/mp4")
    assert (answer.status_code, answer.json["code"]) == (503, "backend_unavailable")


def test_counters_say_how_many_requests_it_costs(client):
    client.post("/api/embed/text", json={"text": "house"})
    page = client.get("/metrics").text
    assert 'signclip_failures_total{code="backend_unavailable",route="/api/embed/text"} 1.0' in page


def test_engines_of_the_other_devices_are_not_left_running(app_settings, monkeypatch):
    built = []

    class Engine:
        def __init__(self, settings: object) -> None:
            if settings.device == DEVICE:  # type: ignore[attr-defined]
                raise BackendError("not there")
            built.append(self)
            self.closed = False

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr("engine.local.LocalEngine", Engine)
    shared = Services(app_settings.model_copy(update={"devices": ("cuda:0", DEVICE)}))
    with pytest.raises(BackendError):
        _ = shared.engine
    assert [engine.closed for engine in built] == [True]
