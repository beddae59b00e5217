"""Signs found in recordings over HTTP: what moves, what is found, and every form of the answer."""

from __future__ import annotations

import base64
import csv
import io
import json
import socket
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from poses import extract, read
from poses.features import FeatureOptions
from tests.poses.make_poses import write_pose

SPOT = "/api/spot"
RAW = {"Content-Type": "application/octet-stream"}


def build_recording(golden_poses, *, lead: int, hands: bool = True) -> bytes:
    """A signer who rests, signs A for 25 frames, and rests again: 25 frames a second."""
    pose = read(golden_poses["ase_A"])
    values, confidence = np.asarray(pose.body.data), pose.body.confidence
    rows = np.r_[np.zeros(lead, dtype=int), np.linspace(0, len(values) - 1, 25).astype(int), np.zeros(60, dtype=int)]
    values, confidence = values[rows].copy(), confidence[rows].copy()
    rng = np.random.default_rng(0)
    # The same tremor after the lead, whatever its length: moving the recording changes nothing else.
    noise = rng.normal(0, 0.3, (25 + 60, *values.shape[1:])).astype(np.float32)
    values[lead:] += noise * (confidence[lead:, ..., None] != 0)
    if not hands:
        values[..., 511:553, :] = confidence[..., 511:553] = 0
    return write_pose(Pose(pose.header, NumPyPoseBody(25.0, values, confidence)))


class SpottingEngine:
    """Gives windows near the sign the vector of its text, and all others that of nothing."""

    def __init__(self, engine, recording: bytes, sign: tuple[int, int]) -> None:
        pose = read(recording)
        frames = pose.body.data[sign[0] : sign[1]], pose.body.confidence[sign[0] : sign[1]]
        self.sign = extract(Pose(pose.header, NumPyPoseBody(25.0, *frames)), "signclip", FeatureOptions())
        self.engine = engine
        self.original = engine.vector_of
        engine.vector_of = self.vector_of

    def vector_of(self, tower, item):
        if tower == "text":
            return self.original(tower, item)
        own = self.original("pose", np.ascontiguousarray(item))
        if item.shape == self.sign.shape and np.abs(item - self.sign).max() < 1e-5:
            return 10 * self.original("text", self.query)
        return own

    query: np.ndarray


@pytest.fixture
def recording(golden_poses):
    return build_recording(golden_poses, lead=48)


@pytest.fixture
def spotting(background_client, engine, recording):
    """A client of a service that knows the window from frame 48 to 73 as `house`, and nothing else."""
    background_client.post("/api/embed/text", json={"text": "house"})
    found = SpottingEngine(engine, recording, (48, 73))
    found.query = engine.requests[-1].items[0]
    return background_client


def spot(client, recording: bytes, **body) -> dict:
    answer = client.post(SPOT, json={"pose": base64.b64encode(recording).decode(), **body})
    assert answer.status_code == 200, answer.json
    return answer.json


def test_a_sign_is_found_where_it_is(spotting, recording):
    answer = spot(spotting, recording, query=["sun", "house", "police"], false_accept_rate=0.005)
    best = max(answer["found"], key=lambda found: found["score"])
    assert (best["label"], best["start_s"], best["end_s"]) == ("house", 48 / 25, 73 / 25)
    assert best["score"] > answer["threshold"] + 1
    assert (answer["measure"], answer["model_name"], answer["duration_s"]) == ("z", "tiny", 133 / 25)
    assert [found["start_s"] for found in answer["found"]] == sorted(found["start_s"] for found in answer["found"])


@pytest.mark.parametrize("moved", [12, 24, 36])
def test_moving_the_recording_moves_the_answer(spotting, golden_poses, recording, moved):
    body = {"query": ["sun", "house"], "threshold": 4.0}
    here = spot(spotting, recording, **body)["found"]
    later = spot(spotting, build_recording(golden_poses, lead=48 + moved), **body)["found"]
    sign = next(found for found in here if found["label"] == "house")
    assert {**sign, "start_s": sign["start_s"] + moved / 25, "end_s": sign["end_s"] + moved / 25} in [
        {**found, "start_s": pytest.approx(found["start_s"]), "end_s": pytest.approx(found["end_s"])} for found in later
    ]


def test_each_window_gets_the_vector_of_the_cut_clip(real_client, golden_poses):
    """Through the real engine, among other windows, within 1e-5."""
    seen = {}
    shared = real_client.application.extensions["signclip"]
    embed = shared.engine.embed

    def watch(request, *rest):
        result = embed(request, *rest)
        if request.tower == "pose":
            seen.update(
                {hash(item.tobytes()): vector for item, vector in zip(request.items, result.embeddings, strict=True)}
            )
        return result

    recording = build_recording(golden_poses, lead=30)
    pose = read(recording)
    shared.engine.embed = watch
    try:
        spot(real_client, recording, query=["house"], threshold=2.0)
    finally:
        del shared.engine.embed
    assert len(seen) > 30
    rows = np.random.default_rng(0).choice(len(pose.body.data) - 25, 5)
    for start in (rows // 6 * 6).tolist():
        cut = Pose(
            pose.header,
            NumPyPoseBody(25.0, pose.body.data[start : start + 25], pose.body.confidence[start : start + 25]),
        )
        clip = base64.b64encode(write_pose(cut)).decode()
        alone = real_client.post("/api/embed/pose", json={"pose": clip, "normalize": False}).json["embeddings"][0]
        found = seen[hash(extract(cut, "signclip").tobytes())]
        assert np.abs(found - alone).max() <= 1e-5 * np.abs(alone).max()


def test_a_recording_may_be_a_raw_body_with_options_in_the_query(spotting, recording):
    whole = spot(spotting, recording, query=["sun", "house"], threshold=4.0)
    query = {"query": '["sun", "house"]', "threshold": "4"}
    assert spotting.post(SPOT, data=recording, headers=RAW, query_string=query).json == whole
    one = spotting.post(SPOT, data=recording, headers=RAW, query_string={"query": "house", "threshold": "4"}).json
    assert {found["label"] for found in one["found"]} == {"house"}
    several = {"query": ["sun", "house"], "threshold": "4"}
    assert spotting.post(SPOT, data=recording, headers=RAW, query_string=several).json == whole
    boundary, form = encode_multipart({"pose": FileStorage(io.BytesIO(recording), "a.pose"), **several})
    assert spotting.post(SPOT, data=form, content_type=f"multipart/form-data; boundary={boundary}").json == whole


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"query": json.dumps(["a"] * 500)}, 413, "too_many_items"),
        ({"query": ["a"] * 500}, 413, "too_many_items"),
        ({"query": "a", "threshold": ["1", "2"]}, 422, "input_invalid"),
    ],
)
def test_more_texts_than_a_request_may_hold_and_options_given_twice_are_refused(
    spotting, recording, query, status, code
):
    answer = spotting.post(SPOT, data=recording, headers=RAW, query_string=query)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_answers_in_the_forms_of_annotation_tools(spotting, recording):
    body = {"pose": base64.b64encode(recording).decode(), "query": ["sun", "house"], "false_accept_rate": 0.005}
    found = spotting.post(SPOT, json=body).json["found"]
    answers = {
        kind: spotting.post(SPOT, json=body, headers={"Accept": kind})
        for kind in ("text/vtt", "text/csv", "text/x-eaf+xml")
    }
    assert all(answer.mimetype == kind for kind, answer in answers.items())
    assert answers["text/vtt"].text.startswith("WEBVTT\n\n")
    assert "00:00:01.920 --> 00:00:02.920\nhouse\n" in answers["text/vtt"].text
    rows = list(csv.DictReader(io.StringIO(answers["text/csv"].text)))
    assert [row["label"] for row in rows] == [one["label"] for one in found]
    tree = ElementTree.fromstring(answers["text/x-eaf+xml"].text)
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in tree.iter("TIME_SLOT")}
    spans = [
        (slots[one.get("TIME_SLOT_REF1")], slots[one.get("TIME_SLOT_REF2")], one[0].text)
        for one in tree.iter("ALIGNABLE_ANNOTATION")
    ]
    assert (1920, 2920, "house") in spans
    assert len(spans) == len(found)


def test_progress_comes_as_lines_and_the_answer_last(spotting, recording):
    body = {"pose": base64.b64encode(recording).decode(), "query": ["house"], "threshold": 4.0}
    answer = spotting.post(SPOT, json=body, headers={"Accept": "application/x-ndjson"})
    *lines, last = map(json.loads, answer.get_data(as_text=True).splitlines())
    assert lines[-1]["windows_done"] == lines[-1]["windows_total"] == last["windows"]
    assert last == spotting.post(SPOT, json=body).json
    # What is wrong after the first line is said in the last one.
    body |= {"flip": "auto", "person": 3}
    refused = spotting.post(SPOT, json=body, headers={"Accept": "application/x-ndjson"})
    assert json.loads(refused.get_data(as_text=True).splitlines()[-1])["code"] == "pose_person_invalid"


def test_a_collection_may_be_looked_for(spotting, engine, recording):
    vector = engine.vector_of("text", engine.requests[-1].items[0])
    spotting.put("/api/collections/signs", json={})
    rng = np.random.default_rng(0)
    entries = [{"id": "house", "vector": vector.tolist(), "gloss": "HOUSE"}]
    entries += [{"id": f"{n}", "vector": rng.normal(size=32).tolist(), "gloss": f"OTHER{n}"} for n in range(4)]
    assert spotting.post("/api/collections/signs/entries", json={"entries": entries}).status_code == 200
    found = spot(spotting, recording, collection="signs", false_accept_rate=0.005)["found"]
    assert {"HOUSE"} == {one["label"] for one in found if (one["start_s"], one["end_s"]) == (48 / 25, 73 / 25)}


def test_a_recording_without_hands_finds_nothing_and_says_why(client, golden_poses):
    recording = build_recording(golden_poses, lead=10, hands=False)
    answer = spot(client, recording, query=["house"], threshold=0.5)
    assert answer["found"] == []
    assert any("no window shows both a hand and the shoulders" in warning for warning in answer["warnings"])


def test_without_a_background_a_threshold_is_needed(client, recording):
    body = {"pose": base64.b64encode(recording).decode(), "query": ["house"]}
    answer = client.post(SPOT, json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "calibration_too_small")
    assert "send threshold" in answer.json["detail"]
    found = client.post(SPOT, json={**body, "threshold": -1}).json
    assert found["measure"] == "cosine"
    assert found["found"]


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ({"query": ["a"]}, "pose or video is needed; neither was sent"),
        ({"pose": "x"}, "query or collection is needed; neither was sent"),
        ({"pose": "x", "video": "x", "query": ["a"]}, "pose and video were both sent; leave one out"),
        ({"pose": "x", "query": ["a"], "method": "probe"}, "needs a collection"),
    ],
)
def test_requests_that_make_no_sense_are_refused(client, body, fragment):
    answer = client.post(SPOT, json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "input_invalid")
    assert fragment in answer.json["detail"]


def test_a_bad_recording_is_refused(client):
    body = {"pose": base64.b64encode(b"no pose").decode(), "query": ["a"]}
    answer = client.post(SPOT, json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "not_a_pose")
    assert answer.json["errors"][0]["pointer"] == "/pose"


def test_a_video_is_estimated_first(make_video_client):
    client = make_video_client()
    body = {"video": base64.b64encode(b"ase_A").decode(), "query": ["house"], "threshold": -1}
    answer = client.post(SPOT, json=body)
    assert answer.status_code == 200, answer.json
    assert answer.json["duration_s"] == pytest.approx(21 / 25, abs=0.2)


def test_a_recording_has_as_long_to_arrive_as_its_request_has(make_client, recording):
    client = make_client(timeout_s=1e-6)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        answer = client.post(
            SPOT,
            data=recording,
            headers=RAW,
            query_string={"query": "house", "threshold": "1"},
            environ_overrides={"gunicorn.socket": ours},
        )
    assert answer.status_code == 200, answer.json
