"""Poses of videos over HTTP: as a file, as JSON, as lines of progress; and the places of requests with videos."""

from __future__ import annotations

import base64
import json
import threading
import time

import pytest

from processes.errors import DeadlineExceededError, QueueFullError
from tests.app.estimators import b64


@pytest.fixture
def client(make_video_client):
    return make_video_client()


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


def test_the_deadline_travels_with_the_request(client, estimators):
    started = time.monotonic()
    client.post("/api/pose", data=b"ase_A", content_type="video/mp4", headers={"X-Timeout-Ms": "5000"})
    client.post("/api/pose", data=b"ase_A", content_type="video/mp4")
    first, second = (request.deadline - started for request in estimators.requests)
    assert 4.9 < first < 7
    assert 599 < second < 603


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
