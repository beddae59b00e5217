"""Clips classified over HTTP, by labels and by collections; the report and the probe of a collection."""

from __future__ import annotations

import base64
import time
from dataclasses import replace

import numpy as np
import pytest

from app.indexing import find_collection_model
from app.telemetry import get_record

CLASSIFY = "/api/classify"
SIGNS = "/api/collections/signs"


@pytest.fixture
def signs(background_client, engine, pose_base64):
    """A client of a service with a collection of three signs, 8 examples each, around the fake engine's vectors."""
    client = background_client
    assert client.put(SIGNS, json={}).status_code == 200
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(3, 32))
    own = engine.vector_of("pose", _find_features(client, engine, pose_base64))
    centers[0] = own / np.linalg.norm(own) * np.linalg.norm(centers[1])
    entries = [
        {
            "id": f"{label}-{number}",
            "vector": (centers[place] + 0.3 * rng.normal(size=32)).tolist(),
            "gloss": label,
            "sign_language": "ase" if number else "gsg",
        }
        for place, label in enumerate(("HOUSE", "SUN", "TREE"))
        for number in range(8)
    ]
    entries.append({"id": "no gloss", "vector": centers[1].tolist()})
    entries.append({"id": "a text", "vector": centers[1].tolist(), "kind": "text", "gloss": "MOON"})
    assert client.post(f"{SIGNS}/entries", json={"entries": entries}).status_code == 200
    return client


def _find_features(client, engine, pose):
    client.post("/api/embed/pose", json={"pose": pose})
    return engine.requests[-1].items[0]


def refused(answer, status, code, *fragments):
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.json
    for fragment in fragments:
        assert fragment in answer.json["detail"]


def test_labels_get_the_probabilities_of_similarity(client, pose_base64):
    labels = ["house", "sun", "police"]
    similar = client.post("/api/similarity", json={"text": labels, "pose": pose_base64, "sign_language": "ase"}).json
    answer = client.post(CLASSIFY, json={"labels": labels, "pose": pose_base64, "sign_language": "ase"}).json
    (result,) = answer["results"]
    shares = dict(zip(labels, similar["probabilities"][0], strict=True))
    best = sorted(shares, key=shares.get, reverse=True)
    assert [one["label"] for one in result["candidates"]] == best
    assert result["label"] == best[0]
    assert result["probability"] == pytest.approx(shares[best[0]], rel=1e-5)
    assert result["margin"] == pytest.approx(shares[best[0]] - shares[best[1]], abs=1e-5)
    assert answer["prompts"] == similar["prompts"]
    assert (answer["method"], answer["labels"], answer["model_name"]) == ("text", 3, "tiny")
    # The tiny model has no background, so nothing can be rejected, and the answer says how to change that.
    assert (result["rejected"], result["p_value"]) == (False, None)
    assert any("calibrate" in warning for warning in answer["warnings"])
    assert "nearest" not in result


@pytest.mark.parametrize("method", ["prototype", "blend", "neighbours", "probe", None])
def test_a_clip_is_classified_by_the_examples_of_a_collection(signs, pose_base64, method):
    body = {"collection": "signs", "pose": [pose_base64], **({"method": method} if method else {})}
    answer = signs.post(CLASSIFY, json=body).json
    (result,) = answer["results"]
    assert (result["label"], result["rejected"]) == ("HOUSE", False)
    assert result["p_value"] <= 0.05
    assert result["margin"] > 0.5
    assert [near["label"] for near in result["nearest"]] == ["HOUSE"] * 3
    assert result["nearest"][0]["score"] > result["nearest"][2]["score"] > 0.8
    assert {one["label"] for one in result["candidates"]} == {"HOUSE", "SUN", "TREE"}
    assert answer["method"] == (method or "blend")
    assert "warnings" not in answer or not any("rejected" in warning for warning in answer["warnings"])


def test_a_clip_that_fits_nothing_is_rejected(signs, engine, golden_poses):
    other = base64.b64encode(golden_poses["gsg_C"]).decode()
    body = {"collection": "signs", "pose": other}
    (result,) = signs.post(CLASSIFY, json=body).json["results"]
    assert result["rejected"]
    assert "fit as well; at most 5 % may" in result["reason"]
    assert signs.post(CLASSIFY, json={**body, "reject": False}).json["results"][0]["rejected"] is False


def test_shots_and_language_choose_the_examples(signs, pose_base64):
    body = {"collection": "signs", "pose": pose_base64, "nearest": 100}
    (whole,) = signs.post(CLASSIFY, json=body).json["results"]
    assert len(whole["nearest"]) == 24
    (two,) = signs.post(CLASSIFY, json={**body, "shots": 2}).json["results"]
    assert len(two["nearest"]) == 6
    (german,) = signs.post(CLASSIFY, json={**body, "sign_language": "gsg"}).json["results"]
    assert {near["id"] for near in german["nearest"]} == {"HOUSE-0", "SUN-0", "TREE-0"}


@pytest.mark.parametrize("language", ["American Sign Language", "ASL", "Ase"])
def test_a_language_may_be_called_by_its_name(signs, pose_base64, language):
    body = {"collection": "signs", "pose": pose_base64, "nearest": 100}
    (tagged,) = signs.post(CLASSIFY, json={**body, "sign_language": "ase"}).json["results"]
    (named,) = signs.post(CLASSIFY, json={**body, "sign_language": language}).json["results"]
    assert len(tagged["nearest"]) == 21
    assert named == tagged
    assert signs.post(f"{SIGNS}/report", json={"sign_language": language}).json["examples"] == 21
    signs.patch(f"{SIGNS}/entries/SUN-0", json={"sign_language": language})
    assert signs.post(f"{SIGNS}/report", json={"sign_language": "ase"}).json["examples"] == 22


def test_a_tag_that_the_model_does_not_know_leaves_the_examples(signs, pose_base64):
    body = {"collection": "signs", "pose": pose_base64, "sign_language": "!"}
    signs.post(
        f"{SIGNS}/entries", json={"entries": [{"id": "x", "pose": pose_base64, "gloss": "X", "sign_language": "!"}]}
    )
    answer = signs.post(CLASSIFY, json=body).json
    assert answer["method"] == "prototype"
    assert any("not compared as texts" in warning for warning in answer["warnings"])
    assert signs.post(CLASSIFY, json={**body, "method": "blend"}).status_code == 422


def test_glosses_may_be_compared_as_texts(signs, pose_base64):
    answer = signs.post(CLASSIFY, json={"collection": "signs", "method": "text", "pose": pose_base64}).json
    assert (answer["method"], answer["labels"]) == ("text", 3)
    assert answer["results"][0]["p_value"] is not None


def test_bad_clips_are_isolated(signs, pose_base64, handless_base64):
    body = {"collection": "signs", "pose": [handless_base64, pose_base64, "!"]}
    refused(signs.post(CLASSIFY, json=body), 422, "pose_no_hands", "/pose/0", "allow_no_hands")
    answer = signs.post(CLASSIFY, json={**body, "on_error": "skip"}).json
    assert [result and result["label"] for result in answer["results"]] == [None, "HOUSE", None]
    assert [error["code"] for error in answer["errors"]] == ["pose_no_hands", "base64_invalid"]
    allowed = signs.post(CLASSIFY, json={"collection": "signs", "pose": handless_base64, "allow_no_hands": True}).json
    assert len(allowed["results"]) == 1


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ({"labels": ["a"], "collection": "signs", "pose": "x"}, "labels and collection were both sent; leave one out"),
        ({"pose": "x"}, "labels or collection is needed; neither was sent"),
        ({"labels": ["a"]}, "at least one of pose and video"),
        ({"labels": ["a"], "pose": "x", "method": "probe"}, "needs a collection"),
        ({"labels": ["a", "b", "a"], "pose": "x"}, "label number 1 is there twice"),
        ({"labels": [], "pose": "x"}, "/labels"),
        ({"labels": ["a", ""], "pose": "x"}, "/labels/1"),
        ({"labels": ["a"], "pose": "x", "false_accept_rate": 0}, "/false_accept_rate"),
    ],
)
def test_requests_that_make_no_sense_are_refused(client, body, fragment):
    refused(client.post(CLASSIFY, json=body), 422, "input_invalid", fragment)


def test_collections_that_do_not_fit_are_refused(client, pose_base64):
    body = {"collection": "signs", "pose": pose_base64}
    refused(client.post(CLASSIFY, json=body), 404, "collection_unknown")
    client.put(SIGNS, json={})
    refused(client.post(CLASSIFY, json=body), 422, "bank_invalid", "no clip with a gloss")
    client.put("/api/collections/other", json={"space": "tiny:elsewhere", "dimensions": 32})
    vector = {"vector": [1.0] * 32, "gloss": "A", "space": "tiny:elsewhere"}
    assert client.post("/api/collections/other/entries", json={"entries": [vector]}).status_code == 200
    refused(client.post(CLASSIFY, json={**body, "collection": "other"}), 409, "space_mismatch", "tiny:elsewhere")


def test_a_report_says_what_a_collection_is_worth(signs):
    answer = signs.post(f"{SIGNS}/report").json
    assert (answer["examples"], answer["labels"], answer["tested"], answer["method"]) == (24, 3, 24, "prototype")
    assert answer["recall"] == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0}
    assert (answer["confused"], answer["too_few"]) == ([], {})
    few = signs.post(f"{SIGNS}/report", json={"sign_language": "gsg", "method": "neighbours"}).json
    assert (few["tested"], few["recall"]["R@1"]) == (0, None)
    assert few["too_few"] == {"HOUSE": 1, "SUN": 1, "TREE": 1}


def test_a_kept_probe_is_used_until_the_collection_changes(signs, pose_base64, monkeypatch):
    fitted = signs.post(f"{SIGNS}/fit").json
    assert (fitted["examples"], fitted["labels"]) == (24, 3)
    assert fitted["version"] == signs.get(SIGNS).json["version"]
    body = {"collection": "signs", "method": "probe", "pose": pose_base64}

    def refuse(*_, **__):
        raise AssertionError("fitted again")

    with monkeypatch.context() as patched:
        patched.setattr("search.classifiers.fit_probe", refuse)
        assert signs.post(CLASSIFY, json=body).json["results"][0]["label"] == "HOUSE"
    signs.delete(f"{SIGNS}/entries/SUN-1")
    answer = signs.post(CLASSIFY, json=body).json
    assert answer["results"][0]["label"] == "HOUSE"
    assert any("earlier version" in warning for warning in answer["warnings"])


def test_upkeep_leaves_a_kept_probe_in_use(signs, pose_base64, monkeypatch):
    for number in range(3):  # each change is a fragment, which upkeep puts together
        signs.patch(f"{SIGNS}/entries/SUN-{number}", json={"source": "signer"})
    fitted = signs.post(f"{SIGNS}/fit").json
    signs.application.extensions["signclip"].store.maintain("signs")
    assert signs.get(SIGNS).json["version"] > fitted["version"]
    body = {"collection": "signs", "method": "probe", "pose": pose_base64}

    def refuse(*_, **__):
        raise AssertionError("fitted again")

    with monkeypatch.context() as patched:
        patched.setattr("search.classifiers.fit_probe", refuse)
        answer = signs.post(CLASSIFY, json=body).json
    assert answer["results"][0]["label"] == "HOUSE"
    assert not any("earlier version" in warning for warning in answer.get("warnings", ()))
    moved = {"id": "SUN-1", "gloss": "SUN", "sign_language": "ase", "vector": [1.0] * 32}
    signs.post(f"{SIGNS}/entries", json={"entries": [moved]})
    assert any("earlier version" in warning for warning in signs.post(CLASSIFY, json=body).json["warnings"])


def test_a_kept_probe_is_not_used_for_examples_that_arrive_during_the_request(signs, pose_base64, monkeypatch):
    signs.post(f"{SIGNS}/fit")
    store = signs.application.extensions["signclip"].store
    describe = store.describe_collection

    def describe_and_change(name):
        described = describe(name)
        [entry] = store.find_entries(name, ["SUN-1"]).values()
        store.upsert(name, [replace(entry, vector=-entry.vector)])
        return described

    monkeypatch.setattr(store, "describe_collection", describe_and_change)
    body = {"collection": "signs", "method": "probe", "pose": pose_base64}
    assert any("earlier version" in warning for warning in signs.post(CLASSIFY, json=body).json["warnings"])


def test_one_label_makes_no_probe(client):
    client.put(SIGNS, json={})
    client.post(f"{SIGNS}/entries", json={"entries": [{"vector": [1.0] * 32, "gloss": "A"}]})
    refused(client.post(f"{SIGNS}/fit", json={}), 422, "bank_invalid", "at least 2 labels")


def test_a_search_with_an_automatic_threshold_has_no_hit_where_nothing_fits(signs, pose_base64, golden_poses):
    body = {"k": 50, "min_score": "auto", "pose": pose_base64}
    hits = signs.post(f"{SIGNS}/search", json=body).json["hits"]
    assert {hit["gloss"] for hit in hits} == {"HOUSE"}
    assert len(hits) == 8
    other = base64.b64encode(golden_poses["gsg_C"]).decode()
    assert signs.post(f"{SIGNS}/search", json={**body, "pose": other}).json["hits"] == []
    assert len(signs.post(f"{SIGNS}/search", json={"k": 50, "pose": other}).json["hits"]) == 26
    # The background of the tests has no texts.
    text = {"text": "house", "min_score": "auto"}
    refused(signs.post(f"{SIGNS}/search", json=text), 422, "calibration_too_small", "no background of texts")


def test_an_automatic_threshold_is_found_anew_for_another_mode_of_search(signs, pose_base64, monkeypatch):
    store = signs.application.extensions["signclip"].store
    search, asked = store.search, []
    monkeypatch.setattr(store, "search", lambda *given: asked.append(given[2]) or search(*given))
    for mode in ("exact", "approximate", "exact"):
        signs.post(f"{SIGNS}/search", json={"min_score": "auto", "mode": mode, "pose": pose_base64})
    assert [options.mode for options in asked if options.k == 1] == ["exact", "approximate"]


def test_504_the_deadline_passes_before_an_automatic_threshold_is_found(signs, pose_base64, monkeypatch):
    def find_slowly(*given):
        get_record().deadline = time.monotonic()
        return find_collection_model(*given)

    monkeypatch.setattr("app.thresholds.find_collection_model", find_slowly)
    body = {"min_score": "auto", "pose": pose_base64}
    refused(signs.post(f"{SIGNS}/search", json=body), 504, "deadline_exceeded", "or send a number")


def test_an_automatic_threshold_is_none_for_vectors_of_earlier_weights(signs):
    signs.put("/api/collections/other", json={"space": "tiny:elsewhere", "dimensions": 32})
    query = {"vector": [1.0] * 32, "space": "tiny:elsewhere", "min_score": "auto"}
    refused(signs.post("/api/collections/other/search", json=query), 409, "space_mismatch", "tiny:elsewhere")
    assert signs.post("/api/collections/other/search", json={**query, "min_score": 0}).json["hits"] == []


def test_a_label_that_the_model_would_cut_is_refused(client, pose_base64):
    asked = {"labels": ["house", "a " * 120], "pose": pose_base64, "on_error": "skip"}
    refused(client.post(CLASSIFY, json=asked), 422, "tokens_over_limit", "/labels/1")
