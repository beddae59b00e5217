"""Trimming over HTTP: by a request's wish, by the model's default, and never in silence."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest

from models.catalog import load_catalog
from models.signature import compute_signature
from poses import cut_frames
from poses.feature_kinds import FEATURE_KINDS
from tests.app.estimators import form
from tests.poses.make_poses import build_pose, hold, raise_in, write_pose

RAW = {"Content-Type": "application/octet-stream"}
POSE = hold(build_pose(60, face_points=128), right=raise_in(60, *range(20, 31)))
LOWERED = hold(build_pose(20, face_points=128))


def encode(pose) -> str:
    return base64.b64encode(write_pose(pose)).decode("ascii")


WAITING, BY_HAND, DOWN = encode(POSE), encode(cut_frames(POSE, 18, 33)), encode(LOWERED)


def test_a_trimmed_clip_gives_the_vector_of_the_clip_that_was_cut_by_hand(client):
    by_hand = client.post("/api/embed/pose", json={"pose": BY_HAND}).json
    trimmed = client.post("/api/embed/pose", json={"pose": [WAITING, BY_HAND], "trim": "auto"}).json
    alone = client.post("/api/embed/pose", json={"pose": WAITING, "trim": "auto"}).json
    assert trimmed["embeddings"][0] == trimmed["embeddings"][1] == by_hand["embeddings"][0] == alone["embeddings"][0]
    assert trimmed["trimmed"] == [[18, 33], [0, 15]]
    assert "warnings" not in trimmed
    assert "trimmed" not in by_hand
    whole = client.post("/api/embed/pose", json={"pose": WAITING, "trim": "none"}).json
    assert whole == client.post("/api/embed/pose", json={"pose": WAITING}).json
    assert whole["embeddings"] != trimmed["embeddings"]


def test_arrays_come_with_the_frames_in_a_header(client):
    body, npy = {"pose": [WAITING, BY_HAND], "trim": "auto"}, {"Accept": "application/x-npy"}
    answer = client.post("/api/embed/pose", json=body, headers=npy)
    assert json.loads(answer.headers["X-SignCLIP-Trimmed"]) == [[18, 33], [0, 15]]
    whole = client.post("/api/embed/pose", json={**body, "trim": "none"}, headers=npy)
    assert "X-SignCLIP-Trimmed" not in whole.headers


def test_trimming_is_part_of_the_signature(client, engine, tiny_weights):
    config = load_catalog(weights=tiny_weights)["tiny"]
    facts = {"digest": engine.models["tiny"].digest, "dtype": "float32"}
    facts["features_version"] = FEATURE_KINDS[config.features].version
    signed = {
        trim: client.post("/api/embed/pose", json={"pose": BY_HAND, "trim": trim}).json["signature"]
        for trim in ("none", "auto", None)
    }
    assert signed["none"] == signed[None] == compute_signature(config, **facts, options={})
    assert signed["auto"] == compute_signature(config, **facts, options={"trim": "auto"}) != signed["none"]


def test_a_clip_without_a_raised_hand_is_left_whole_with_a_warning(client):
    answer = client.post("/api/embed/pose", json={"pose": [WAITING, DOWN], "trim": "auto"}).json
    assert answer["trimmed"] == [[18, 33], [0, 20]]
    assert answer["warnings"] == ["/pose/1: not trimmed, because no wrist is above its elbow in any frame"]


def test_a_skipped_clip_has_no_frames(client):
    body = {"pose": ["AAAA", WAITING], "trim": "auto", "on_error": "skip"}
    assert client.post("/api/embed/pose", json=body).json["trimmed"] == [None, [18, 33]]


def test_what_is_said_of_a_clip_is_said_of_what_is_left(client):
    answer = client.post("/api/embed/pose", json={"pose": WAITING, "trim": "auto", "quality": True}).json
    assert answer["quality"][0]["frames"] == 15


def test_the_limit_of_frames_holds_for_what_is_left(client, tiny_weights):
    limit = load_catalog(weights=tiny_weights)["tiny"].max_frames
    long = encode(hold(build_pose(limit + 30, face_points=128), right=raise_in(limit + 30, *range(30, 40))))
    assert client.post("/api/embed/pose", json={"pose": long}).json["code"] == "frames_over_limit"
    assert client.post("/api/embed/pose", json={"pose": long, "trim": "auto"}).json["trimmed"] == [[28, 42]]
    longer = encode(hold(build_pose(limit + 30, face_points=128), right=200))
    assert client.post("/api/embed/pose", json={"pose": longer, "trim": "auto"}).json["code"] == "frames_over_limit"
    cut = client.post("/api/embed/pose", json={"pose": longer, "trim": "auto", "truncate": True}).json
    assert cut["trimmed"] == [[0, limit]]
    assert "the first are kept" in cut["warnings"][0]


def test_files_and_queries_take_the_option(client):
    for answer in (
        client.post("/api/embed/pose?trim=auto", data=write_pose(POSE), headers=RAW),
        client.post("/api/embed/pose", data={"pose": (io.BytesIO(write_pose(POSE)), "a.pose"), "trim": "auto"}),
    ):
        assert answer.json["trimmed"] == [[18, 33]]
    refused = client.post("/api/embed/pose?trim=yes", data=write_pose(POSE), headers=RAW)
    assert refused.json["errors"] == [{"pointer": "/trim", "message": "Input should be 'none' or 'auto'"}]


def test_similarity_trims_as_embed_does(client):
    answer = client.post("/api/similarity", json={"text": "sun", "pose": [WAITING, DOWN], "trim": "auto"}).json
    by_hand = client.post("/api/similarity", json={"text": "sun", "pose": [BY_HAND, DOWN]}).json
    np.testing.assert_allclose(answer["cosine"], by_hand["cosine"], atol=1e-6)
    assert answer["trimmed"] == [[18, 33], [0, 20]]
    assert "not trimmed" in answer["warnings"][0]
    assert "trimmed" not in by_hand
    assert "trimmed" not in client.post("/api/similarity", json={"text": "sun", "trim": "auto"}).json


def test_a_hand_that_trimming_cuts_off_does_not_make_up_for_none(client):
    lost = slice(18, 33)
    missing = {"LEFT_HAND_LANDMARKS": lost, "RIGHT_HAND_LANDMARKS": lost}
    pose = hold(build_pose(60, face_points=128, missing=missing), right=raise_in(60, *range(20, 31)))
    body = {"text": "sun", "pose": encode(pose)}
    answer = client.post("/api/similarity", json={**body, "trim": "auto"})
    assert (answer.status_code, answer.json["code"]) == (422, "pose_no_hands")
    assert "no hand in any of 15 frames" in answer.json["detail"]
    assert client.post("/api/similarity", json={**body, "trim": "none"}).status_code == 200
    allowed = client.post("/api/similarity", json={**body, "trim": "auto", "allow_no_hands": True})
    assert allowed.json["trimmed"] == [[18, 33]]


def test_videos_are_trimmed_by_their_poses(make_video_client):
    client = make_video_client()
    video = {"data": form(b"ase_A", trim="auto"), "content_type": "multipart/form-data"}
    answer = client.post("/api/embed/video", **video).json
    assert answer["trimmed"] == [[0, 21]]
    assert answer["embeddings"] == client.post("/api/embed/video", data=form(b"ase_A")).json["embeddings"]


@pytest.mark.parametrize(("trim", "limit"), [("none", 64), ("auto", None)])
def test_how_long_a_video_may_be_is_asked_once_it_is_trimmed(make_video_client, trim, limit):
    client = make_video_client()
    estimators = client.application.extensions["signclip"].estimators
    client.post("/api/embed/video", data=form(b"ase_A", trim=trim))
    found = estimators.requests[-1].limits.max_frames
    assert found == limit if limit is not None else found > 1000


def test_models_say_how_they_trim(client):
    models = {model["name"]: model["trim"] for model in client.get("/api/models").json["models"]}
    assert (models["tiny"], models["default"], models["fingerspelling"]) == ("none", "none", "auto")
