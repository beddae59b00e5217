"""Vectors of videos over HTTP: every form of body, every refusal, and the real thing once."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest

from app import create_app
from processes.errors import DeadlineExceededError, QueueFullError, VideoStoppedError
from tests.app.estimators import b64, form
from video.client import EstimatorClient
from video.settings import EstimatorSettings


@pytest.fixture
def client(make_video_client):
    return make_video_client()


def test_every_form_of_body_gives_the_same_vector_as_the_pose(client, pose_bytes):
    expected = client.post("/api/embed/pose", json={"pose": b64(pose_bytes)}).json
    raw = client.post("/api/embed/video", data=b"ase_A", content_type="video/mp4").json
    answers = [
        raw,
        client.post("/api/embed/video", data=b"ase_A", content_type="application/octet-stream").json,
        client.post("/api/embed/video", data=form(b"ase_A"), content_type="multipart/form-data").json,
        client.post("/api/embed/video", json={"video": b64(b"ase_A")}).json,
        client.post("/api/embed/video", json={"video": ["data:video/mp4;base64," + b64(b"ase_A")]}).json,
    ]
    for answer in answers:
        assert answer["embeddings"] == expected["embeddings"]
        assert answer["signature"] == expected["signature"]
    assert raw["video"] == [
        {"width": 640, "height": 480, "fps": 25.0, "frames": 21, "duration_s": 0.84, "rotation": 90, "codec": "h264",
         "extractor": "fake"}
    ]  # fmt: skip
    assert raw["quality"][0]["frames"] == 21
    assert raw["warnings"] == ["/video/0: 1 piece did not decode"]
    assert "pose" not in raw


def test_options_work_as_for_poses(client, pose_bytes):
    options = {"flip": "always", "normalize": "false", "encoding_format": "base64"}
    expected = client.post(
        "/api/embed/pose", data=pose_bytes, content_type="application/octet-stream", query_string=options
    ).json
    answer = client.post("/api/embed/video", data=form(b"ase_A", **options), content_type="multipart/form-data").json
    assert answer["embeddings"] == expected["embeddings"]
    array = client.post(
        "/api/embed/video", json={"video": [b64(b"ase_A")] * 2}, headers={"Accept": "application/x-npy"}
    )
    assert np.load(io.BytesIO(array.data)).shape == (2, 32)


def test_poses_come_back_when_asked_for(client, pose_bytes):
    answer = client.post("/api/embed/video", json={"video": b64(b"ase_A"), "return_pose": True}).json
    assert base64.b64decode(answer["pose"][0]) == pose_bytes


@pytest.mark.parametrize(
    ("video", "status", "code"),
    [
        (b"bad", 422, "video_unreadable"),
        (b"hour", 422, "video_too_long"),
        (b"long", 422, "frames_over_limit"),
        (b"house x", 422, "video_nobody_in_view"),
        (b"house", 422, "frames_over_limit"),
        (b"lost", 503, "estimator_lost"),
    ],
)
def test_bad_videos_are_refused_or_skipped(client, video, status, code):
    body = {"video": [b64(b"ase_A"), b64(video)]}
    answer = client.post("/api/embed/video", json=body)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    if status == 422:
        assert answer.json["errors"][0]["pointer"] == "/video/1"
    else:
        assert int(answer.headers["Retry-After"]) >= 1
    skipped = client.post("/api/embed/video", json={**body, "on_error": "skip"}).json
    assert skipped["embeddings"][0] is not None
    assert skipped["embeddings"][1] is None
    assert [(entry["index"], entry["code"]) for entry in skipped["errors"]] == [(1, code)]


def test_bad_base64_costs_no_estimation(client, estimators):
    answer = client.post("/api/embed/video", json={"video": [b64(b"ase_A"), "!"]})
    assert (answer.status_code, answer.json["code"]) == (422, "base64_invalid")
    assert not estimators.requests
    skipped = client.post("/api/embed/video", json={"video": ["!", b64(b"ase_A")], "on_error": "skip"}).json
    assert skipped["embeddings"][0] is None
    assert skipped["embeddings"][1] is not None
    assert [len(request.videos) for request in estimators.requests] == [1]


def test_the_threshold_of_who_is_seen_can_be_moved(client):
    body = {"video": b64(b"house x"), "truncate": True}
    assert client.post("/api/embed/video", json=body).status_code == 422
    assert client.post("/api/embed/video", json={**body, "min_seen": 0.3}).status_code == 200
    assert client.post("/api/embed/video", json={**body, "min_seen": 1.1}).json["errors"][0]["pointer"] == "/min_seen"
    assert client.post("/api/embed/video", json={**body, "min_seen": -0.1}).json["errors"][0]["pointer"] == "/min_seen"


def test_long_videos_are_cut_when_asked_for(client, estimators):
    answer = client.post("/api/embed/video", json={"video": b64(b"house"), "truncate": True}).json
    assert answer["warnings"][0] == "/video: 73 frames; model 'tiny' takes 64, the first are kept"
    client.post("/api/embed/video", json={"video": b64(b"ase_A")})
    assert [request.limits.max_frames for request in estimators.requests] == [7200, 64]


def test_estimators_that_are_away_are_not_taken_for_the_engine(app_settings, engine, tmp_path):
    away = EstimatorClient(str(tmp_path / "nobody-listens.sock"))
    client = create_app(app_settings, engine, away).test_client()
    for path in ("/api/embed/video", "/api/pose"):
        answer = client.post(path, data=b"ase_A", content_type="video/mp4")
        assert (answer.status_code, answer.json["code"]) == (503, "video_stopped")
        assert answer.json["title"] == "The estimation of videos is not running"
        assert int(answer.headers["Retry-After"]) >= 1


def test_estimators_refusals_have_their_status(client, estimators):
    for error, status in (
        (QueueFullError("9 videos would wait"), 429),
        (VideoStoppedError("restarting", retry_after_s=2), 503),
        (DeadlineExceededError("too late"), 504),
    ):
        for path in ("/api/embed/video", "/api/pose"):
            estimators.refusal, estimators.failure = error, None
            answer = client.post(path, data=b"ase_A", content_type="video/mp4")
            assert (answer.status_code, answer.json["code"]) == (status, error.code)
            estimators.refusal, estimators.failure = None, error
            before = estimators.closed
            answer = client.post(path, data=b"ase_A", content_type="video/mp4")
            assert answer.status_code == status
            assert estimators.closed == before + 1


def test_limits_of_a_request_are_413(make_video_client):
    client = make_video_client(max_video_bytes=2048)
    for body in (
        {"data": b"x" * 2049, "content_type": "video/mp4"},
        {"data": form(b"x" * 1024, b"x" * 1025), "content_type": "multipart/form-data"},
        {"json": {"video": [b64(b"x" * 1024), b64(b"x" * 1025)]}},
        {"data": form(*[b"x"] * 5), "content_type": "multipart/form-data"},
        {"json": {"video": ["eA=="] * 5}},
        {"data": b"x" * 3_000_000, "content_type": "video/mp4"},
    ):
        answer = client.post("/api/embed/video", **body)
        assert answer.status_code == 413
    answer = client.post("/api/embed/video", data=b"x", content_type="text/plain")
    assert answer.status_code == 415
    assert "video/*" in answer.json["detail"]


def test_similarities_take_as_large_videos_and_no_larger_poses(make_video_client):
    client = make_video_client(max_video_bytes=5000, max_body_bytes=3000)
    large = {"text": "house", "video": b64(b"ase_A x".ljust(4900)), "min_seen": 0}
    assert client.post("/api/similarity", json=large).status_code == 200
    for body in ({"video": [b64(b"x" * 2600)] * 2}, {"pose": "A" * 3001}, {"text": ["x" * 1501] * 2}):
        answer = client.post("/api/similarity", json=body)
        assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_videos_are_rows_of_similarities(client, pose_base64):
    answer = client.post(
        "/api/similarity", json={"text": ["house", "sun"], "pose": pose_base64, "video": [b64(b"ase_A")]}
    ).json
    assert answer["rows"] == ["/pose", "/video/0"]
    assert answer["dot"][0] == answer["dot"][1]
    alone = client.post("/api/similarity", json={"text": ["house", "sun"], "video": b64(b"ase_A")}).json
    assert alone["dot"][0] == pytest.approx(answer["dot"][0])
    assert "/video/0: 1 piece did not decode" in answer["warnings"]
    bad = client.post("/api/similarity", json={"text": "house", "video": [b64(b"bad")]})
    assert bad.json["errors"][0]["pointer"] == "/video/0"


def test_answers_are_as_described(client):
    from jsonschema import Draft202012Validator

    document = client.get("/openapi.json").json
    for path, body in (
        ("/api/embed/video", {"video": [b64(b"ase_A"), b64(b"bad")], "on_error": "skip", "return_pose": True}),
        ("/api/pose", {"video": [b64(b"ase_A"), b64(b"bad")], "on_error": "skip"}),
    ):
        reference = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer = client.post(path, json=body).json
        Draft202012Validator({**reference, "components": document["components"]}).validate(answer)
        assert "video/*" in document["paths"][path]["post"]["requestBody"]["content"]


def test_a_real_video_becomes_its_vector(app_settings, engine):
    """Without gunicorn, the estimators run under this very process."""
    from tests.video.make_videos import clip, corner, encode, recorded

    application = create_app(app_settings.model_copy(update={"estimators": EstimatorSettings(workers=1)}), engine)
    try:
        client = application.test_client()
        video = clip(8)
        pose = client.post("/api/pose", data=video, content_type="video/mp4")
        assert pose.status_code == 200
        expected = client.post("/api/embed/pose", data=pose.data, content_type="application/octet-stream").json
        answer = client.post("/api/embed/video", data=video, content_type="video/mp4").json
        assert answer["embeddings"] == expected["embeddings"]
        lines = client.post(
            "/api/pose",
            data=recorded([0, 31, 70, 97, 133, 171], sound=True),
            content_type="video/webm;codecs=vp8,opus",
            headers={"Accept": "application/x-ndjson"},
        )
        *told, last = map(json.loads, lines.data.splitlines())
        assert (told[-1]["frames_done"], told[-1]["frames_total"]) == (6, None)
        assert last["poses"][0]["video"]["frames"] == 6
        browser = client.post("/api/embed/video", data=recorded([0, 31, 70, 97]), content_type="video/webm;codecs=vp8")
        assert len(browser.json["embeddings"]) == 1
        empty = client.post("/api/embed/video", data=encode(corner(4, 96, 96)), content_type="video/mp4")
        assert (empty.status_code, empty.json["code"]) == (422, "video_nobody_in_view")
    finally:
        application.extensions["signclip"].close()
