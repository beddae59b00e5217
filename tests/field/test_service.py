"""The service over what people really send: the same answers in every form of a body, and warnings in each of them."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Callable

import numpy as np
import pytest
import zstandard
from flask.testing import FlaskClient
from pose_format import Pose

from tests.field.inputs import (
    letter,
    packed,
    read_data,
    scaled,
    to_bytes,
    turned,
    with_fps,
    with_nan_hands,
)

RAW = {"Content-Type": "application/octet-stream"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def embed(client: FlaskClient, data: bytes, **options: object) -> dict:
    answer = client.post("/api/embed/pose", json={"pose": [b64(data)], **options})
    assert answer.status_code == 200, answer.json
    return answer.json


# Warnings


CASES: dict[str, tuple[Callable[[], Pose], str | None]] = {
    "clean": (letter, None),
    "Sem-Lex": (with_nan_hands, "NaN or infinite and count as not seen"),
    "no frame rate": (lambda: with_fps(0), "0 frames per second, which is no rate"),
    "frame rate NaN": (lambda: with_fps(float("nan")), "nan frames per second"),
    "shares": (lambda: scaled("shares"), "aspect ratio is lost"),
    "y up": (lambda: scaled("y up"), "y points up"),
    "sideways": (lambda: turned(1), "the signer lies sideways"),
    "upside down": (lambda: turned(2), "the signer is upside down"),
}


@pytest.mark.parametrize("case", CASES)
def test_warnings_stand_in_every_answer(case: str, client: FlaskClient) -> None:
    make, warning = CASES[case]
    data = to_bytes(make())
    answers = [
        embed(client, data),
        embed(client, data, quality=True),
        client.post("/api/embed/pose", data=data, headers=RAW).json,
        client.post("/api/similarity", json={"text": ["A"], "pose": [b64(data)]}).json,
    ]
    for answer in answers:
        found = answer.get("warnings", [])
        if warning is None:
            assert not found
        else:
            assert len([line for line in found if line.startswith("/pose/0: ") and warning in line]) == 1
    inspected = client.post("/api/pose/inspect", data=data, headers=RAW).json
    assert warning is None or any(warning in line for line in inspected["warnings"])


def test_a_pose_without_a_frame_rate_has_no_duration(client: FlaskClient) -> None:
    quality = embed(client, to_bytes(with_fps(float("nan"))), quality=True)["quality"][0]
    assert (quality["fps"], quality["duration_s"], quality["frames"]) == (None, None, 4)


def test_a_left_handed_clip_that_is_flipped_is_not_warned_of(client: FlaskClient) -> None:
    pose = letter()
    names = [part.name for part in pose.header.components for _ in part.points]
    left = [place for place, name in enumerate(names) if name == "LEFT_HAND_LANDMARKS"]
    right = [place for place, name in enumerate(names) if name == "RIGHT_HAND_LANDMARKS"]
    data, confidence = pose.body.data.data, pose.body.confidence
    data[:, :, left], confidence[:, :, left] = data[:, :, right].copy(), confidence[:, :, right].copy()
    data[:, :, right] = confidence[:, :, right] = 0
    sent = to_bytes(pose)
    assert embed(client, sent)["warnings"] == ["/pose/0: no right hand in any frame"]
    for flip in ("auto", "always"):
        assert "warnings" not in embed(client, sent, flip=flip)
    assert embed(client, to_bytes(letter()), flip="always")["warnings"] == ["/pose/0: no left hand in any frame"]


def test_videos_are_warned_of_too(make_video_client: Callable[..., FlaskClient]) -> None:
    """The fake estimators give gss_long for its name, whose numbers are odd."""
    client = make_video_client()
    for path, body in (
        ("/api/embed/video", {"video": [b64(b"gss_long")], "truncate": True}),
        ("/api/pose", {"video": [b64(b"gss_long")]}),
        ("/api/similarity", {"text": ["A"], "video": [b64(b"gss_long")], "truncate": True}),
    ):
        answer = client.post(path, json=body, headers={"Accept": "application/json"}).json
        assert any("shoulder widths from the body" in line for line in answer["warnings"]), path


# Packed poses


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_packed_poses_are_read_in_every_form(suffix: str, client: FlaskClient) -> None:
    data = to_bytes(letter())
    sent = packed(data, suffix)
    expected = embed(client, data)["embeddings"][0]
    kind = {".gz": "application/gzip", ".zst": "application/zstd"}[suffix]
    answers = [
        embed(client, sent),
        client.post("/api/embed/pose", data=sent, headers=RAW).json,
        client.post("/api/embed/pose", data=sent, headers={"Content-Type": kind}).json,
        client.post("/api/embed/pose", data={"pose": (io.BytesIO(sent), f"a.pose{suffix}")}).json,
        client.post("/api/embed/pose", data=gzip.compress(sent), headers={**RAW, "Content-Encoding": "gzip"}).json,
    ]
    for answer in answers:
        assert answer["embeddings"][0] == expected
    scores = client.post("/api/similarity", json={"pose": [b64(data), b64(sent)]}).json
    np.testing.assert_allclose(scores["cosine"], 1, atol=1e-6)
    assert client.post("/api/pose/inspect", data=sent, headers=RAW).json["frames"] == 4


def test_packed_poses_of_a_request_share_one_limit(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(max_body_bytes=1_000_000)
    bomb = zstandard.ZstdCompressor().compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    one = client.post("/api/embed/pose", data=bomb, headers=RAW)
    assert (one.status_code, one.json["code"]) == (413, "body_too_large")
    # Each of these is under the limit, and all of them together are not.
    large = b64(zstandard.ZstdCompressor().compress(to_bytes(letter()) + bytes(400_000)))
    many = client.post("/api/embed/pose", json={"pose": [large] * 3, "on_error": "skip"})
    assert (many.status_code, many.json["code"]) == (413, "body_too_large")
    twice = client.post("/api/embed/pose", data=gzip.compress(gzip.compress(to_bytes(letter()))), headers=RAW)
    assert (twice.status_code, twice.json["code"]) == (422, "not_a_pose")


# Layouts


LAYOUTS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "OpenPose": (lambda: read_data("openpose_137.pose"), "OpenPose", "component POSE_LANDMARKS is missing"),
    "reduced": (lambda: read_data("reduced_178_points.pose"), "reduce_holistic", "points missing from the layout"),
    "a hand": (
        lambda: to_bytes(letter().get_components(["RIGHT_HAND_LANDMARKS"])),
        "the right hand of",
        "POSE_LANDMARKS is missing",
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_inspecting_says_which_models_take_the_layout(case: str, client: FlaskClient) -> None:
    make, layout, lacks = LAYOUTS[case]
    answer = client.post("/api/pose/inspect", data=make(), headers=RAW).json
    assert layout in answer["layout"]
    assert lacks in answer["models"]["tiny"]
    assert "POST /api/pose" in answer["advice"]
    names = {model["name"] for model in client.get("/api/models").json["models"]}
    assert set(answer["models"]) == names
    refused = client.post("/api/embed/pose", data=make(), headers=RAW)
    assert (refused.status_code, refused.json["code"]) == (422, "pose_layout_unsupported")
    assert layout in refused.json["detail"]


def test_inspecting_a_whole_pose_says_that_models_take_it(client: FlaskClient) -> None:
    answer = client.post("/api/pose/inspect", data=to_bytes(letter()), headers=RAW).json
    assert answer["layout"] == "a MediaPipe Holistic pose"
    assert answer["models"]["tiny"] is None
    assert "advice" not in answer or any(answer["models"].values())


def test_the_layout_comes_before_the_length(client: FlaskClient) -> None:
    """A hand of 278 frames, where the model takes 64: shortening it would not help."""
    hand = letter().get_components(["RIGHT_HAND_LANDMARKS"])
    frames = np.resize(np.arange(4), 278)
    long = Pose(hand.header, type(hand.body)(25, hand.body.data.data[frames], hand.body.confidence[frames]))
    for path, body in (
        ("/api/embed/pose", {"pose": b64(to_bytes(long))}),
        ("/api/similarity", {"pose": b64(to_bytes(long)), "text": "A"}),
    ):
        answer = client.post(path, json=body).json
        assert answer["code"] == "pose_layout_unsupported", path
        assert "truncate" not in answer["detail"]
