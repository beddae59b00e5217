"""Inspecting poses, listing models and languages, OpenAI's shape, CORS, methods."""

from __future__ import annotations

import base64
import io
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from app import create_app
from app.intake.clip_options import check_features
from models.catalog import load_catalog

RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def own_weights(tiny_weights, tmp_path):
    """A copy of the weights folder, for a test's own models."""
    return shutil.copytree(tiny_weights, tmp_path / "weights")


def test_inspect_reports_in_every_form(client, pose_bytes, pose_base64):
    answers = [
        client.post("/api/pose/inspect", json={"pose": pose_base64}),
        client.post("/api/pose/inspect", data=pose_bytes, headers=RAW),
        client.post("/api/pose/inspect", data={"pose": (io.BytesIO(pose_bytes), "a.pose")}),
    ]
    assert {answer.status_code for answer in answers} == {200}
    report = answers[0].json
    assert (report["frames"], report["duration_s"]) == (21, 21 / 25)
    assert answers[1].json == answers[2].json == report


def test_inspect_takes_one_clip(client, pose_bytes):
    files = {"pose": [(io.BytesIO(pose_bytes), "a.pose"), (io.BytesIO(pose_bytes), "b.pose")]}
    assert client.post("/api/pose/inspect", data=files).status_code == 422


def test_inspect_needs_no_model(client, engine, pose_bytes):
    engine.error = RuntimeError("must not be asked")
    assert client.post("/api/pose/inspect", data=pose_bytes, headers=RAW).status_code == 200
    assert not engine.requests


def test_inspect_tells_a_model_without_poses_from_one_that_lacks_points(app_settings, engine, own_weights, pose_base64):
    (own_weights / "of_videos").mkdir()
    (own_weights / "of_videos" / "config.yaml").write_text("base: tiny\nfeatures: s3d\nfeature_dim: 512\n")
    own = replace(app_settings.engine, weights_dir=own_weights)
    client = create_app(app_settings.model_copy(update={"engine": own}), engine).test_client()
    answer = client.post("/api/pose/inspect", json={"pose": pose_base64})
    assert answer.status_code == 200, answer.json
    assert answer.json["models"]["of_videos"] == "its features, 's3d', are not computed from poses here"
    assert answer.json["models"]["tiny"] is None
    assert "advice" not in answer.json


def test_a_model_of_another_number_of_features_is_named_and_not_the_clip(
    app_settings, engine, own_weights, pose_base64
):
    path = own_weights / "tiny" / "config.yaml"
    path.write_text(path.read_text().replace("feature_dim: 609", "feature_dim: 63"))
    own = replace(app_settings.engine, weights_dir=own_weights)
    client = create_app(app_settings.model_copy(update={"engine": own}), engine).test_client()
    for route, body in (
        ("/api/embed/pose", {"pose": pose_base64, "on_error": "skip"}),
        ("/api/similarity", {"pose": pose_base64, "text": "sun"}),
        ("/api/spot", {"pose": pose_base64, "query": "sun"}),
    ):
        answer = client.post(route, json=body)
        assert (answer.status_code, answer.json["code"]) == (503, "catalog_invalid"), route
        assert "feature_dim 63, and its features, 'signclip', are 609 numbers a frame" in answer.json["detail"]
    assert client.post("/api/embed/text", json={"text": "sun"}).status_code == 200


def test_the_catalog_gives_each_model_the_features_of_its_kind():
    for config in load_catalog().values():
        check_features(config)


def test_a_folder_of_any_name_keeps_no_model_out_of_the_list(app_settings, engine, own_weights):
    folder = os.fsencode(own_weights) + b"/caf\xe9"
    os.mkdir(folder)
    shutil.copyfile(own_weights / "tiny" / "config.yaml", folder + b"/config.yaml")
    own = replace(app_settings.engine, weights_dir=own_weights)
    client = create_app(app_settings.model_copy(update={"engine": own}), engine).test_client()
    answer = client.get("/api/models")
    assert answer.status_code == 200, answer.json
    assert [entry["name"] for entry in answer.json["broken"]] == ["caf\\xe9"]
    assert "tiny" in {model["name"] for model in answer.json["models"]}


def test_models_say_what_they_are_and_how_to_get_them(client):
    answer = client.get("/api/models").json
    assert answer["default"] == "tiny"
    models = {model["name"]: model for model in answer["models"]}
    tiny = models["tiny"]
    assert (tiny["state"], tiny["dimensions"], tiny["max_frames"], tiny["max_tokens"]) == ("loaded", 32, 64, 32)
    assert (tiny["device"], tiny["dtype"], tiny["features"]) == ("cpu", "float32", "signclip")
    assert models["default"]["state"] == "missing"
    assert "python -m models download" in models["default"]["reason"]
    assert models["default"]["signature"] is None
    assert models["default"]["space"] is None


def test_languages_are_those_of_pretraining(client):
    languages = {language["tag"]: language for language in client.get("/api/languages").json["languages"]}
    assert "asl" in languages["ase"]["aliases"]
    assert languages["swl"] == {"tag": "swl", "name": "Swedish Sign Language", "aliases": ["sts"], "clips": 18599}


def test_openai_texts_are_cut_when_asked_for(client):
    long = {"input": "house " * 100}
    refused = client.post("/v1/embeddings", json=long)
    assert (refused.status_code, refused.json["code"]) == (422, "tokens_over_limit")
    assert "truncate: true" in refused.json["detail"]
    assert client.post("/v1/embeddings", json={**long, "truncate": True}).json["usage"]["prompt_tokens"] == 31


def test_openai_shape(client, engine):
    texts = ["house", "sun"]
    answer = client.post("/v1/embeddings", json={"input": texts, "model": "tiny", "dimensions": 32, "user": "me"}).json
    assert (answer["object"], answer["model"]) == ("list", "tiny")
    assert [entry["index"] for entry in answer["data"]] == [0, 1]
    expected = client.post("/api/embed/text", json={"text": texts}).json["embeddings"]
    assert [entry["embedding"] for entry in answer["data"]] == expected
    tokens = sum(len(item) for item in engine.requests[0].items)
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_openai_base64_is_what_its_client_decodes(client):
    plain, packed = (
        client.post("/v1/embeddings", json={"input": "house", "encoding_format": encoding}).json["data"][0]["embedding"]
        for encoding in ("float", "base64")
    )
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(packed), np.float32), np.float32(plain))


def test_openai_errors_are_also_in_its_shape(client):
    answer = client.post("/v1/embeddings", json={"input": "house", "model": "text-embedding-3-small"})
    assert answer.status_code == 404
    assert answer.json["error"]["message"] == answer.json["detail"]
    assert answer.json["error"]["code"] == "model_unknown"
    assert "error" not in client.post("/api/embed/text", json={}).json
    for wrong in ({"model": "x" * 65}, {"dimensions": 0}):
        answer = client.post("/v1/embeddings", json={"input": "house", **wrong})
        assert answer.json["error"]["code"] == "input_invalid"
        assert answer.json["errors"][0]["pointer"] == "/" + next(iter(wrong))
    assert "32" in client.post("/v1/embeddings", json={"input": "house", "dimensions": 1}).json["detail"]


def test_persons_are_counted_from_0_to_a_limit(client, pose_base64):
    assert client.post("/api/pose/inspect", json={"pose": pose_base64, "person": 0}).status_code == 200
    answer = client.post("/api/pose/inspect", json={"pose": pose_base64, "person": 65_536})
    assert answer.json["errors"][0]["pointer"] == "/person"


def test_ready_names_the_model(client):
    assert client.get("/readyz").json == {"status": "ready", "model": "tiny"}


def test_the_real_engine_becomes_ready(real_client, real_app):
    for _ in range(10_000):
        if (answer := real_client.get("/readyz")).status_code != 503:
            break
        real_client.post("/api/embed/text", json={"text": "the engine's own probe waits in the same queue"})
    assert answer.json == {"status": "ready", "model": "tiny"}
    models = {model["name"]: model for model in real_client.get("/api/models").json["models"]}
    assert models["tiny"]["state"] == "loaded"
    assert models["tiny"]["signature"].startswith("tiny-")


def test_cors_lets_pages_call(client):
    preflight = client.options(
        "/api/embed/text",
        headers={
            "Origin": "https://example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-api-key,x-timeout-ms",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "x-timeout-ms" in preflight.headers["Access-Control-Allow-Headers"]
    answer = client.post("/api/embed/text", json={}, headers={"Origin": "https://example.org"})
    assert answer.status_code == 422
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]


def test_cors_only_for_the_origins_given(make_client):
    client = make_client(cors_origins=("https://a.example", "https://b.example"))
    for origin, allowed in (("https://b.example", "https://b.example"), ("https://c.example", None)):
        answer = client.get("/healthz", headers={"Origin": origin})
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    closed = make_client(cors_origins=()).get("/healthz", headers={"Origin": "https://a.example"})
    assert "Access-Control-Allow-Origin" not in closed.headers


@pytest.mark.parametrize("path", ["/healthz", "/api/models", "/docs"])
def test_head_is_get_without_the_body(client, path):
    answer = client.head(path)
    assert answer.status_code == 200
    assert answer.data == b""


def test_options_need_no_key(make_client):
    from pydantic import SecretStr

    client = make_client(api_keys=(SecretStr("right-key"),))
    assert client.options("/api/embed/text").status_code == 200


def test_the_root_is_a_page_that_leads_to_the_documentation(client):
    answer = client.get("/")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert b'href="docs"' in answer.data
    assert client.get("/docs").status_code == 200


def test_a_model_says_which_languages_it_saw_and_whether_it_can_reject(client, background_client, tmp_path):
    def describe(asked):
        return next(model for model in asked.get("/api/models").json["models"] if model["name"] == "tiny")

    assert describe(client)["sign_languages"] == ["ase", "gsg"]
    assert describe(client)["spoken_languages"] == ["en", "de"]
    assert describe(client)["background"] is False
    assert describe(background_client)["background"] is True
    (tmp_path / "weights" / "tiny" / "tiny.null.safetensors").write_bytes(b"damaged")
    assert describe(background_client)["background"] is False


@pytest.mark.parametrize("path", ["//api/models", "/api//models", "/api/models//"])
def test_a_path_with_two_slashes_leads_nowhere(client, path):
    answer = client.get("http://signs.example" + path)
    assert (answer.status_code, "Location" in answer.headers) == (404, False)
