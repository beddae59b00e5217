"""Signatures in answers: they name what made the vectors, and nothing else."""

from __future__ import annotations

import pytest

from models.signature import compute_signature


@pytest.mark.parametrize(
    ("options", "counted"),
    [
        ({}, {}),
        ({"flip": "never", "anonymize": False, "normalize": True, "quality": True, "truncate": True}, {}),
        ({"normalize": False}, {"normalize": False}),
        ({"flip": "auto", "anonymize": True}, {"flip": "auto", "anonymize": True}),
    ],
)
def test_signatures_name_the_options_that_count(client, pose_base64, tiny_weights, engine, options, counted):
    from models.catalog import load_catalog
    from poses.feature_kinds import FEATURE_KINDS

    answer = client.post("/api/embed/pose", json={"pose": pose_base64, **options}).json
    config = load_catalog(weights=tiny_weights)["tiny"]
    status = engine.models["tiny"]
    version = FEATURE_KINDS["signclip"].version
    assert answer["signature"] == compute_signature(
        config, digest=status.digest, dtype="float32", features_version=version, options=counted
    )


def test_texts_and_poses_of_a_model_have_one_signature(client, pose_base64):
    text = client.post("/api/embed/text", json={"text": "sun", "sign_language": "ase"}).json["signature"]
    assert text == client.post("/api/embed/pose", json={"pose": pose_base64}).json["signature"]
    models = client.get("/api/models").json["models"]
    assert text == next(model["signature"] for model in models if model["name"] == "tiny")


def test_all_vectors_of_a_model_have_one_space(client, pose_base64):
    spaces = {
        client.post("/api/embed/text", json={"text": "sun", "sign_language": "ase"}).json["space"],
        client.post("/api/embed/text", json={"text": "sun", "normalize": False}).json["space"],
        client.post("/api/embed/pose", json={"pose": pose_base64, "flip": "auto", "anonymize": True}).json["space"],
        client.post("/v1/embeddings", json={"input": "sun"}).json["space"],
        next(model["space"] for model in client.get("/api/models").json["models"] if model["name"] == "tiny"),
    }
    assert len(spaces) == 1
    assert spaces.pop().startswith("tiny:")


def test_openai_answers_have_the_signature_of_embed_answers(client):
    openai = client.post("/v1/embeddings", json={"input": "sun"}).json
    assert openai["signature"] == client.post("/api/embed/text", json={"text": "sun"}).json["signature"]
