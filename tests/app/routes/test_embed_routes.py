"""Vectors over HTTP: the forms of bodies and answers, and every option of the contract."""

from __future__ import annotations

import base64
import gzip
import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
import zstandard

from engine.settings import EngineSettings

RAW = {"Content-Type": "application/octet-stream"}


def vectors(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.array(answer.json["embeddings"], dtype=np.float32)


def uploads(*files: bytes, **fields: str):
    return {"pose": [(io.BytesIO(file), f"{index}.pose") for index, file in enumerate(files)], **fields}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_original_clients_text_call(client, method):
    answer = client.open("/api/embed/text", method=method, json={"text": ["random text."]})
    assert vectors(answer).shape == (1, 32)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_original_clients_pose_call(client, pose_base64, method):
    answer = client.open("/api/embed/pose", method=method, json={"pose": [pose_base64, pose_base64]})
    assert vectors(answer).shape == (2, 32)


def test_an_answer_says_what_made_it(client):
    answer = client.post("/api/embed/text", json={"text": "house"}).json
    assert answer.pop("embeddings")
    made_by, space = answer.pop("signature"), answer.pop("space")
    assert answer == {"model_name": "tiny", "dimensions": 32, "normalized": True}
    assert made_by.startswith("tiny-")
    assert space.startswith("tiny:")


def test_vectors_come_in_the_order_of_the_items(client, engine):
    answer = vectors(client.post("/api/embed/text", json={"text": ["sun", "house", "sun"], "normalize": False}))
    expected = [engine.vector_of("text", item) for item in engine.requests[0].items]
    np.testing.assert_array_equal(answer, expected)
    np.testing.assert_array_equal(answer[0], answer[2])
    assert not np.array_equal(answer[0], answer[1])


def test_default_vectors_have_unit_length(client):
    answer = vectors(client.post("/api/embed/text", json={"text": ["sun", "house"]}))
    np.testing.assert_allclose(np.linalg.norm(answer, axis=1), 1, atol=1e-6)


def test_a_vector_of_zeros_stays_one(client, engine):
    engine.vector = np.zeros(32, np.float32)
    assert not vectors(client.post("/api/embed/text", json={"text": "sun"})).any()


@pytest.mark.parametrize(("encoding", "dtype"), [("base64", "<f4"), ("base64_float16", "<f2")])
def test_base64_holds_the_same_numbers(client, encoding, dtype):
    body = {"text": ["sun", "house"], "normalize": False}
    floats = vectors(client.post("/api/embed/text", json=body))
    packed = client.post("/api/embed/text", json={**body, "encoding_format": encoding}).json["embeddings"]
    unpacked = [np.frombuffer(base64.b64decode(row), dtype) for row in packed]
    np.testing.assert_array_equal(unpacked, floats.astype(dtype))


def test_npy_holds_the_same_numbers(client):
    floats = client.post("/api/embed/text", json={"text": ["sun", "house"]})
    answer = client.post("/api/embed/text", json={"text": ["sun", "house"]}, headers={"Accept": "application/x-npy"})
    assert answer.mimetype == "application/x-npy"
    assert answer.headers["X-SignCLIP-Model"] == "tiny"
    assert answer.headers["X-SignCLIP-Signature"] == floats.json["signature"]
    assert answer.headers["X-SignCLIP-Space"] == floats.json["space"]
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.data), allow_pickle=False), vectors(floats))


def test_npy_has_nan_for_skipped_items(client):
    body = {"text": ["sun", "x" * 20_000], "on_error": "skip"}
    answer = client.post("/api/embed/text", json=body, headers={"Accept": "application/x-npy"})
    array = np.load(io.BytesIO(answer.data), allow_pickle=False)
    assert np.isfinite(array[0]).all()
    assert np.isnan(array[1]).all()


def test_poses_are_the_same_in_every_form(client, pose_bytes, pose_base64):
    expected = vectors(client.post("/api/embed/pose", json={"pose": pose_base64}))
    data_url = f"data:application/octet-stream;base64,{pose_base64}"
    wrapped = base64.encodebytes(pose_bytes).decode()
    form = {"Content-Encoding": "gzip", **RAW}
    answers = [
        client.post("/api/embed/pose", json={"pose": [data_url]}),
        client.post("/api/embed/pose", json={"pose": [wrapped]}),
        client.post("/api/embed/pose", data=uploads(pose_bytes)),
        client.post("/api/embed/pose", data=pose_bytes, headers=RAW),
        client.post("/api/embed/pose", data=gzip.compress(pose_bytes), headers=form),
        client.post(
            "/api/embed/pose", data=zstandard.compress(pose_bytes), headers={**RAW, "Content-Encoding": "zstd"}
        ),
    ]
    for answer in answers:
        np.testing.assert_array_equal(vectors(answer), expected)


def test_options_are_the_same_in_every_form(client, pose_bytes, pose_base64):
    options = {"flip": "always", "anonymize": True, "person": 0, "quality": True, "normalize": False}
    fields = {"flip": "always", "anonymize": "true", "person": "0", "quality": "1", "normalize": "false"}
    expected = client.post("/api/embed/pose", json={"pose": [pose_base64], **options})
    in_form = client.post("/api/embed/pose", data=uploads(pose_bytes, **fields))
    in_query = client.post("/api/embed/pose", data=pose_bytes, headers=RAW, query_string=fields)
    assert expected.status_code == 200
    assert in_form.json == in_query.json == expected.json


def test_features_reach_the_engine_as_the_model_takes_them(client, engine, pose_bytes):
    client.post("/api/embed/pose", data=pose_bytes, headers=RAW)
    client.post("/api/embed/pose?flip=always", data=pose_bytes, headers=RAW)
    client.post("/api/embed/pose?anonymize=true", data=pose_bytes, headers=RAW)
    plain, flipped, anonymous = (request.items[0] for request in engine.requests)
    assert plain.shape == (21, 609)
    assert plain.dtype == np.float32
    assert not np.array_equal(plain, flipped)
    assert not np.array_equal(plain, anonymous)


def test_prompts_are_built_and_returned(client, engine):
    body = {"text": ["house", "sun"], "sign_language": "asl", "spoken_language": "en"}
    answer = client.post("/api/embed/text", json=body).json
    assert answer["prompts"] == ["<en> <ase> house", "<en> <ase> sun"]
    assert "warnings" not in answer
    written = vectors(client.post("/api/embed/text", json={"text": answer["prompts"]}))
    np.testing.assert_array_equal(written, np.array(answer["embeddings"], np.float32))


def test_a_tag_the_model_has_not_seen_is_one_warning(client):
    answer = client.post("/api/embed/text", json={"text": ["house", "sun"], "sign_language": "lis"}).json
    assert answer["warnings"] == ["model 'tiny' has not seen the sign language tag <ise> in training"]


def test_words_the_model_does_not_know_are_a_warning(client):
    """All of them are one word piece to it: texts that differ in nothing else get the same vector."""
    answer = client.post("/api/embed/text", json={"text": ["house", "house \U0001f6f8", "\U0001f3e0"]}).json
    assert answer["warnings"] == [
        "/text/1: 1 of 2 word pieces are unknown to model 'tiny'",
        "/text/2: all 1 word pieces are unknown to model 'tiny'",
    ]


def test_truncate_keeps_the_first_tokens_and_says_so(client, engine):
    answer = client.post("/api/embed/text", json={"text": ["sun", "sun " * 50], "truncate": True}).json
    assert answer["warnings"] == ["/text/1: 50 word pieces; model 'tiny' takes 29, the first are kept"]
    assert [len(item) for item in engine.requests[0].items] == [3, 31]


def test_truncate_keeps_the_first_frames_and_says_so(client, engine, golden_poses):
    answer = client.post(
        "/api/embed/pose", data=golden_poses["house"], headers=RAW, query_string={"truncate": "true"}
    ).json
    assert answer["warnings"] == ["/pose/0: 73 frames; model 'tiny' takes 64, the first are kept"]
    assert engine.requests[0].items[0].shape == (64, 609)


def test_skip_leaves_the_others_as_they_are(client, pose_base64):
    expected = vectors(client.post("/api/embed/pose", json={"pose": [pose_base64]}))[0]
    body = {"pose": ["!", pose_base64, base64.b64encode(b"no pose").decode()], "on_error": "skip"}
    answer = client.post("/api/embed/pose", json=body).json
    assert [row is None for row in answer["embeddings"]] == [True, False, True]
    np.testing.assert_array_equal(np.array(answer["embeddings"][1], np.float32), expected)
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [
        (0, "base64_invalid"),
        (2, "not_a_pose"),
    ]


def test_skip_notes_items_the_model_fails_on(client, engine):
    from engine.errors import ItemFailedError

    engine.failures = {1: ItemFailedError("no luck")}
    answer = client.post("/api/embed/text", json={"text": ["x" * 20_000, "sun", "house"], "on_error": "skip"}).json
    assert [row is None for row in answer["embeddings"]] == [True, False, True]
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [
        (0, "text_too_long"),
        (2, "item_failed"),
    ]


def test_numbers_that_are_not_finite_never_leave(client, engine):
    engine.vector = np.full(32, np.nan, np.float32)
    assert client.post("/api/embed/text", json={"text": "sun"}).status_code == 500
    skipped = client.post("/api/embed/text", json={"text": "sun", "on_error": "skip"}).json
    assert skipped["embeddings"] == [None]


def test_a_request_without_a_good_item_costs_no_model_time(client, engine):
    answer = client.post("/api/embed/pose", json={"pose": ["!"], "on_error": "skip"})
    assert answer.json["embeddings"] == [None]
    assert not engine.requests


def test_quality_comes_with_each_clip(client, pose_base64):
    body = {"pose": [pose_base64, "!"], "quality": True, "on_error": "skip"}
    report, skipped = client.post("/api/embed/pose", json=body).json["quality"]
    assert skipped is None
    assert (report["frames"], report["fps"], report["people"]) == (21, 25.0, 1)
    assert 0 <= report["right_hand"] <= 1


def test_an_answer_carries_its_id_and_timings(client):
    answer = client.post("/api/embed/text", json={"text": "sun"}, headers={"X-Request-ID": "my-request.1"})
    assert answer.headers["X-Request-ID"] == "my-request.1"
    stages = [part.split(";")[0].strip() for part in answer.headers["Server-Timing"].split(",")]
    assert stages == ["prepare", "queue", "forward", "total"]


@pytest.mark.parametrize("given", ["a b", "x" * 65, "<script>", ""])
def test_a_malformed_request_id_is_replaced(client, given):
    answer = client.get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] not in ("", given)


def test_the_shorter_deadline_counts(client, make_client, engine):
    for sender, headers, seconds in (
        (client, {}, 120),
        (client, {"X-Timeout-Ms": "5000"}, 5),
        (make_client(timeout_s=2.0), {"X-Timeout-Ms": "5000"}, 2),
    ):
        import time

        before = time.monotonic()
        sender.post("/api/embed/text", json={"text": "sun"}, headers=headers)
        assert before + seconds <= engine.requests[-1].deadline <= time.monotonic() + seconds


def test_the_real_engine_answers_as_the_model_does(real_client, tiny_model, pose_bytes):
    texts = ["house", "how are you?"]
    answer = vectors(real_client.post("/api/embed/text", json={"text": texts, "normalize": False}))
    expected = tiny_model.embed_text(texts, normalize=False)
    np.testing.assert_allclose(answer, expected, atol=2e-5 * np.abs(expected).max())
    clip = vectors(real_client.post("/api/embed/pose", data=pose_bytes, headers=RAW))
    np.testing.assert_allclose(np.linalg.norm(clip), 1, atol=1e-6)


def test_a_form_takes_files_longer_than_its_fields_may_be(client, golden_poses):
    """Werkzeug reads a form 64 KiB at a time, and holds what it has read against the limit on fields."""
    files = [golden_poses["gss_long"], golden_poses["house"]]
    assert len(files[0]) > 2_000_000
    head = b'--x\r\nContent-Disposition: form-data; name="pose"; filename="clip.pose"\r\n\r\n'
    options = b'--x\r\nContent-Disposition: form-data; name="truncate"\r\n\r\ntrue\r\n--x--\r\n'
    form = b"".join(head + file + b"\r\n" for file in files) + options
    answer = client.post("/api/embed/pose", data=form, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 200, answer.text
    assert len(answer.json["embeddings"]) == 2


def test_a_model_of_a_video_encoders_features_takes_texts_and_refuses_poses(
    make_client, engine, tiny_weights, tmp_path, pose_base64
):
    folder = tmp_path / "s3d"
    shutil.copytree(tiny_weights / "tiny", folder)
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "features": "s3d"}), encoding="utf-8")
    engine.models = {"s3d": replace(engine.models["tiny"], name="s3d")}
    client = make_client(engine=EngineSettings(weights_dir=tmp_path, default_model="s3d"))
    answer = client.post("/api/embed/text", json={"text": "house", "model_name": "s3d"})
    assert vectors(answer).shape == (1, 32)
    assert answer.json["signature"].startswith("s3d-")
    refused = client.post("/api/embed/pose", json={"pose": pose_base64, "model_name": "s3d"})
    assert (refused.status_code, refused.json["code"]) == (422, "pose_features_unknown")
