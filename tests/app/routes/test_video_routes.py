"""Videos over HTTP: every form of body and answer, every refusal, and the real thing once."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from app import create_app
from app.settings import ServiceSettings
from processes.errors import DeadlineExceededError, QueueFullError, VideoStoppedError
from video.client import EstimatorClient
from video.errors import (
    EstimatorLostError,
    TooManyFramesError,
    VideoTooLongError,
    VideoUnreadableError,
)
from video.estimates import Estimate, VideoFacts
from video.interface import (
    EstimateRequest,
    Event,
    Finished,
    Progress,
)
from video.settings import EstimatorSettings

POSES = Path(__file__).parents[2] / "golden" / "poses"
FACTS = VideoFacts(640, 480, 25.0, 21, 0.84, 90, "h264", "fake")


@dataclass
class FakeEstimators:
    """Gives the pose that is named in the video; `bad`, `lost`, `long` and `nobody` are refused.

    Attributes:
        refusal: raised by every begin.
        failure: raised in the middle of every request.
        hold: events wait for it.
        total: frames that videos say they have.
    """

    refusal: Exception | None = None
    failure: Exception | None = None
    hold: threading.Event | None = None
    total: int | None = 2
    entered: threading.Event = field(default_factory=threading.Event)
    requests: list[EstimateRequest] = field(default_factory=list)
    closed: int = 0

    def begin(self, request: EstimateRequest) -> FakeWork:
        self.requests.append(request)
        if self.refusal is not None:
            raise self.refusal
        return FakeWork(self, request)

    def export_metrics(self) -> str:
        return ""

    def close(self) -> None:
        pass

    def outcome(self, video: bytes) -> object:
        refused = {
            b"bad": VideoUnreadableError("the bytes are no video"),
            b"lost": EstimatorLostError("the process was lost"),
            b"long": TooManyFramesError("more than 64 frames"),
            b"hour": VideoTooLongError("3600 seconds"),
        }
        if video in refused:
            return refused[video]
        name, _, emptied = video.decode().partition(" ")
        file = (POSES / f"{name}.pose").read_bytes()
        return Estimate(_without_people(file) if emptied else file, FACTS, ("1 piece did not decode",))


class FakeWork:
    def __init__(self, estimators: FakeEstimators, request: EstimateRequest) -> None:
        self.estimators, self.request = estimators, request

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:
        for index, video in enumerate(self.request.videos):
            yield Progress(index, 1, self.estimators.total)
            if self.estimators.hold is not None:
                self.estimators.entered.set()
                assert self.estimators.hold.wait(30)
            if self.estimators.failure is not None:
                raise self.estimators.failure
            yield Progress(index, 2, self.estimators.total)
            yield Finished(index, self.estimators.outcome(video))  # type: ignore[arg-type]

    def close(self) -> None:
        self.estimators.closed += 1


def _without_people(file: bytes) -> bytes:
    """The pose with nobody in its first two thirds."""
    from poses import read

    pose = read(file)
    frames = 2 * len(pose.body.confidence) // 3
    pose.body.confidence[:frames] = 0
    target = io.BytesIO()
    pose.write(target)
    return target.getvalue()


@pytest.fixture
def estimators() -> FakeEstimators:
    return FakeEstimators()


@pytest.fixture
def make_video_client(
    app_settings: ServiceSettings, engine: object, estimators: FakeEstimators
) -> Callable[..., FlaskClient]:
    def make(**changes: object) -> FlaskClient:
        settings = app_settings.model_copy(update={"max_videos": 4, **changes})
        return create_app(settings, engine, estimators).test_client()  # type: ignore[arg-type]

    return make


@pytest.fixture
def client(make_video_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_video_client()


def b64(video: bytes) -> str:
    return base64.b64encode(video).decode()


def form(*videos: bytes, **options: str) -> dict[str, object]:
    return {"video": [(io.BytesIO(video), "clip.mp4") for video in videos], **options}


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


def test_the_deadline_travels_with_the_request(client, estimators):
    started = time.monotonic()
    client.post("/api/pose", data=b"ase_A", content_type="video/mp4", headers={"X-Timeout-Ms": "5000"})
    client.post("/api/pose", data=b"ase_A", content_type="video/mp4")
    first, second = (request.deadline - started for request in estimators.requests)
    assert 4.9 < first < 7
    assert 599 < second < 603


def test_a_pose_is_its_file(client, pose_bytes):
    answer = client.post("/api/pose", data=b"ase_A", content_type="video/mp4")
    assert answer.content_type == "application/octet-stream"
    assert answer.data == pose_bytes
    assert json.loads(answer.headers["X-SignCLIP-Video"])["codec"] == "h264"
    assert json.loads(answer.headers["X-SignCLIP-Quality"])["frames"] == 21
    assert "estimate;dur=" in answer.headers["Server-Timing"]


def test_several_poses_are_json(client, pose_bytes):
    body = {"video": [b64(b"ase_A"), b64(b"bad")], "on_error": "skip"}
    answer = client.post("/api/pose", json=body).json
    assert base64.b64decode(answer["poses"][0]["pose"]) == pose_bytes
    assert answer["poses"][0]["video"]["rotation"] == 90
    assert answer["poses"][1] is None
    assert answer["errors"][0]["code"] == "video_unreadable"
    assert client.post("/api/pose", json={**body, "on_error": "fail"}).status_code == 422
    refused = client.post("/api/pose", json=body, headers={"Accept": "application/octet-stream"})
    assert refused.json["errors"][0]["pointer"] == "/video"


@pytest.mark.parametrize("total", [None, 3])
def test_the_last_line_of_progress_has_every_frame_whatever_the_video_says(client, estimators, total):
    estimators.total = total
    body = {"video": [b64(b"ase_A")] * 2}
    with client.post("/api/pose", json=body, headers={"Accept": "application/x-ndjson"}) as answer:
        *told, last = map(json.loads, answer.data.splitlines())
    assert len(last["poses"]) == 2
    for index in (0, 1):
        lines = [line for line in told if line["index"] == index]
        assert [line["frames_done"] for line in lines] == [1, 2]
        assert {line["frames_total"] for line in lines} == {total}


def test_progress_comes_as_lines_before_the_answer(client, pose_bytes, estimators):
    def lines(video: bytes) -> list[dict]:
        headers = {"Accept": "application/x-ndjson"}
        with client.post("/api/pose", data=video, content_type="video/mp4", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.content_type.startswith("application/x-ndjson")
            return [json.loads(line) for line in answer.data.splitlines()]

    told = lines(b"ase_A")
    assert told[:2] == [{"index": 0, "frames_done": done, "frames_total": 2} for done in (1, 2)]
    assert base64.b64decode(told[2]["poses"][0]["pose"]) == pose_bytes
    for video, code in (
        (b"bad", "video_unreadable"),
        (b"lost", "estimator_lost"),
        (b"house x", "video_nobody_in_view"),
    ):
        assert lines(video)[-1]["code"] == code
    estimators.failure = DeadlineExceededError("too late")
    assert lines(b"ase_A")[-1]["status"] == 504
    assert estimators.closed == 5


def test_a_refusal_before_the_first_line_keeps_its_status(client, estimators):
    estimators.refusal = QueueFullError("full")
    answer = client.post(
        "/api/pose", data=b"ase_A", content_type="video/mp4", headers={"Accept": "application/x-ndjson"}
    )
    assert answer.status_code == 429


def test_requests_with_videos_have_fewer_places(make_video_client, estimators):
    client = make_video_client(max_video_requests=1)
    estimators.hold = threading.Event()
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(client.post("/api/pose", data=b"ase_A", content_type="video/mp4"))
    )
    thread.start()
    assert estimators.entered.wait(30)
    refused = client.post("/api/pose", data=b"ase_A", content_type="video/mp4")
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_requests")
    assert client.post("/api/embed/text", json={"text": "house"}).status_code == 200
    estimators.hold.set()
    thread.join(30)
    assert answers[0].status_code == 200
    # A streamed answer keeps its place until it is read.
    streamed = client.post(
        "/api/pose", data=b"ase_A", content_type="video/mp4", headers={"Accept": "application/x-ndjson"}, buffered=False
    )
    assert client.post("/api/pose", data=b"ase_A", content_type="video/mp4").status_code == 429
    before = estimators.closed
    streamed.close()
    assert estimators.closed == before + 1
    assert client.post("/api/pose", data=b"ase_A", content_type="video/mp4").status_code == 200


def test_similarities_of_videos_take_such_a_place_too(make_video_client, estimators):
    client = make_video_client(max_video_requests=1)
    estimators.hold = threading.Event()
    body, answers = {"text": "house", "video": b64(b"ase_A")}, []
    thread = threading.Thread(target=lambda: answers.append(client.post("/api/similarity", json=body)))
    thread.start()
    assert estimators.entered.wait(30)
    assert client.post("/api/similarity", json=body).json["code"] == "too_many_requests"
    assert client.post("/api/similarity", json={"text": "house"}).status_code == 200
    estimators.hold.set()
    thread.join(30)
    assert answers[0].status_code == 200
    assert client.post("/api/similarity", json=body).status_code == 200


def test_a_stream_is_counted_by_what_it_came_to(client, caplog):
    caplog.set_level("INFO", logger="signclip.access")
    headers = {"Accept": "application/x-ndjson"}
    streamed = client.post("/api/pose", data=b"bad", content_type="video/mp4", headers=headers, buffered=False)
    assert not caplog.records
    assert json.loads(b"".join(streamed.response).splitlines()[-1])["code"] == "video_unreadable"
    streamed.close()
    (line,) = caplog.records
    assert (line.status, line.code, line.route, line.items) == (200, "video_unreadable", "/api/pose", 1)
    counted = client.get("/metrics").text
    assert 'signclip_failures_total{code="video_unreadable",route="/api/pose"} 1.0' in counted


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
