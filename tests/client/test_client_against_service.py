"""Every method of both clients against the real application."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from processes.version import VERSION
from signclip_client import Limits, NotFoundError, PoseError, Progress, TextError
from tests.client.conftest import CLIP, POSES

ROOT = Path(__file__).parents[2]
WORDS = [f"<en> <ase> {letter}{number}" for letter in "ABCDEFGHIJ" for number in range(10)]


def test_texts_and_poses_become_float32_vectors_of_unit_length(url, make_client):
    client = make_client(url)
    texts = client.embed_text(["house", "sun"], sign_language="ase")
    poses = client.embed_pose([CLIP, CLIP.read_bytes(), str(CLIP)], quality=True)
    for found, rows in ((texts, 2), (poses, 3)):
        assert (found.vectors.shape, found.vectors.dtype, len(found)) == ((rows, 32), np.float32, rows)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-5)
        assert (found.model_name, found.normalized) == ("tiny", True)
        assert found.signature
    assert texts.prompts == ("<en> <ase> house", "<en> <ase> sun")
    np.testing.assert_array_equal(poses.vectors[0], poses.vectors[1])
    assert poses.quality[2].frames == 21


def test_one_item_is_one_row(url, make_client):
    client = make_client(url)
    assert len(client.embed_text("house")) == len(client.embed_pose(CLIP)) == 1


def test_a_long_list_is_sent_in_parts_and_comes_back_in_order(url, make_client):
    steps: list[Progress] = []
    parts = make_client(url, limits=Limits(max_items=7, concurrency=3)).embed_text(WORDS, progress=steps.append)
    single = np.concatenate([make_client(url).embed_text(WORDS[start : start + 40]).vectors for start in (0, 40, 80)])
    np.testing.assert_allclose(parts.vectors, single, atol=1e-6)
    assert [step.done for step in steps] == sorted({step.done for step in steps})
    assert len(steps) == 15
    assert steps[-1] == Progress(100, 100)


def test_parts_that_the_service_finds_too_long_are_halved(url, make_client):
    whole = make_client(url).embed_text(WORDS[:45])  # the service takes 40 at once
    parts = make_client(url, limits=Limits(max_items=5)).embed_text(WORDS[:45])
    np.testing.assert_allclose(whole.vectors, parts.vectors, atol=1e-6)


def test_places_count_in_the_callers_list(url, make_client):
    client = make_client(url, limits=Limits(max_items=2))
    clips = [CLIP, CLIP, CLIP, b"no pose"]
    with pytest.raises(PoseError, match=r"422 .*/pose/3: ") as caught:
        client.embed_pose(clips)
    assert [place.pointer for place in caught.value.places] == ["/pose/3"]
    assert caught.value.code == "not_a_pose"
    assert caught.value.request_id in str(caught.value)
    found = client.embed_pose(clips, on_error="skip")
    assert [(error.index, error.code) for error in found.errors] == [(3, "not_a_pose")]
    assert np.isnan(found.vectors).all(axis=1).tolist() == [False, False, False, True]
    warned = client.embed_text(["house", "sun", "\U0001f3e0"]).warnings
    assert [text.split(":")[0] for text in warned] == ["/text/2"]


def test_similarity_in_parts_equals_similarity_at_once(url, make_client):
    poses = [CLIP, POSES / "house.pose", CLIP]
    given = {"texts": ["house", "sun", "\U0001f3e0"], "poses": poses, "videos": [b"ase_A"], "truncate": True}
    whole = make_client(url).similarity(**given)
    parts = make_client(url, limits=Limits(max_items=1)).similarity(**given)
    for name in ("cosine", "dot", "probabilities"):
        found = getattr(parts, name)
        assert (found.shape, found.dtype) == ((4, 3), np.float32)
        np.testing.assert_allclose(found, getattr(whole, name), atol=1e-5)
    np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert parts.rows == whole.rows == ("/pose/0", "/pose/1", "/pose/2", "/video/0")
    assert parts.columns == ("/text/0", "/text/1", "/text/2")
    assert sum("/text/2" in warning for warning in parts.warnings) == 1


def test_scores_of_skipped_items_are_nan_in_parts_as_at_once(url, make_client):
    given = {"texts": ["house", "x" * 11_000], "poses": [CLIP, b"bad", CLIP], "on_error": "skip"}
    whole = make_client(url).similarity(**given)
    parts = make_client(url, limits=Limits(max_items=1)).similarity(**given)
    assert np.isnan(parts.cosine).tolist() == [[False, True], [True, True], [False, True]]
    np.testing.assert_allclose(parts.dot, whole.dot, atol=1e-5)
    assert {(error.pointer, error.index) for error in whole.errors} == {("/text/1", 1), ("/pose/1", 1)}
    assert set(parts.errors) == set(whole.errors)


def test_items_of_one_kind_are_compared_with_each_other(url, make_client):
    client = make_client(url)
    for given in ({"texts": ["house", "sun"]}, {"poses": [CLIP, CLIP]}):
        found = client.similarity(**given)
        assert found.probabilities is None
        np.testing.assert_allclose(np.diag(found.cosine), 1, rtol=1e-5)


def test_videos_give_the_vectors_of_their_poses(url, make_client):
    client = make_client(url)
    steps: list[Progress] = []
    found = client.embed_video([b"ase_A", b"ase_A"], return_pose=True, progress=steps.append)
    np.testing.assert_array_equal(found.vectors[0], client.embed_pose(CLIP).vectors[0])
    assert found.poses[1] == CLIP.read_bytes()
    assert found.videos[0].codec == "h264"
    assert {warning.split(":")[0] for warning in found.warnings} == {"/video/0", "/video/1"}
    assert steps[-1] == Progress(2, 2)
    estimated = client.estimate_pose([b"ase_A", b"bad"], on_error="skip")
    assert estimated.poses[0].pose == CLIP.read_bytes()
    assert estimated.poses[0].quality.frames == 21
    assert estimated.poses[1] is None
    assert estimated.errors[0].index == 1


def test_a_pose_is_inspected(url, make_client):
    report = make_client(url).inspect_pose(CLIP)
    assert (report.frames, report.models["tiny"]) == (21, None)
    assert "olistic" in report.layout


def test_samples_can_be_fetched_and_embedded(url, make_client):
    client = make_client(url)
    samples = {sample.name: sample for sample in client.list_samples()}
    clip = client.fetch_sample("ase_A.pose")
    assert len(clip) == samples["ase_A.pose"].bytes
    np.testing.assert_array_equal(client.embed_pose(clip).vectors, client.embed_pose(CLIP).vectors)
    with pytest.raises(NotFoundError, match="sample"):
        client.fetch_sample("house.gif")


def test_the_service_says_what_it_has_and_how_it_is(url, make_client):
    client = make_client(url)
    assert client.wait_until_ready().model == "tiny"
    assert client.check_health().version == VERSION
    models = client.list_models()
    assert models.default == "tiny"
    assert {model.name: model.state for model in models.models}["tiny"] == "loaded"
    assert {language.tag: language.name for language in client.list_languages()}["ase"] == "American Sign Language"
    assert "signclip_requests_total" in client.read_metrics()


def test_options_go_along_and_the_client_s_model_is_the_default(url, make_client):
    client = make_client(url, model="nothing")
    with pytest.raises(NotFoundError) as caught:
        client.embed_text("house")
    assert caught.value.code == "model_unknown"
    raw = client.embed_text("house", model_name="tiny", normalize=False)
    assert not raw.normalized
    with pytest.raises(NotFoundError):
        make_client(url).embed_text("house", sign_language="Klingon")
    with pytest.raises(TextError, match="truncate"):
        make_client(url).embed_text("house " * 100)


def test_the_example_of_the_package_s_page_runs(url, monkeypatch, capsys):
    page = (ROOT / "client" / "README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(first.replace("http://localhost:3030", url), {})  # noqa: S102
    assert capsys.readouterr().out.count("[[") == 2
    exec(second.replace("http://localhost:3030", url), {})  # noqa: S102
    shown = capsys.readouterr().out
    assert "('A', 1.0" in shown or "('A', 0.99" in shown
    assert "ClassifiedClip(label=" in shown


def test_nothing_to_send_is_refused_before_anything_is_sent(make_client):
    client = make_client("http://127.0.0.1:9")
    for call in (lambda: client.embed_text([]), lambda: client.embed_pose([]), client.similarity):
        with pytest.raises(ValueError, match="there is no"):
            call()
