"""Clips named, found and scored through both clients, against the real application."""

from __future__ import annotations

import pytest

from signclip_client import Limits, NewEntry, NotFoundError, Progress
from tests.client.conftest import CLIP, POSES

HOUSE = POSES / "house.pose"


@pytest.fixture
def client(url, make_client):
    return make_client(url)


@pytest.fixture
def bank(client):
    """A collection `bank` with two labels of three examples each."""
    client.create_collection("bank")
    clips = {"A": CLIP, "HOUSE": HOUSE}
    entries = [
        NewEntry(pose=clip, id=f"{gloss}{number}", gloss=gloss) for gloss, clip in clips.items() for number in range(3)
    ]
    client.store_entries("bank", entries, truncate=True)
    yield "bank"
    client.delete_collection("bank")


def test_clips_are_named_by_labels_in_parts_as_at_once(url, make_client):
    steps: list[Progress] = []
    given = {"poses": [CLIP, HOUSE, CLIP], "videos": [b"ase_A"], "labels": ["sun", "house"], "truncate": True}
    whole = make_client(url).classify(**given)
    parts = make_client(url, limits=Limits(max_items=1)).classify(**given, progress=steps.append)
    assert [result.label for result in parts.results] == [result.label for result in whole.results]
    for part, one in zip(parts.results, whole.results, strict=True):
        assert part.probability == pytest.approx(one.probability, abs=1e-4)
        assert sum(candidate.probability for candidate in part.candidates) == pytest.approx(1, abs=1e-4)
    assert (parts.method, parts.labels, len(parts.results)) == ("text", 2, 4)
    assert steps[-1] == Progress(4, 4)


def test_a_clip_that_cannot_be_read_is_left_out(url, make_client):
    client = make_client(url, limits=Limits(max_items=1))
    found = client.classify(poses=[CLIP, b"no pose"], labels=["sun", "house"], on_error="skip")
    assert found.results[1] is None
    assert [(error.index, error.pointer) for error in found.errors] == [(1, "/pose/1")]


def test_clips_are_named_by_examples(client, bank):
    found = client.classify(poses=CLIP, collection=bank, nearest=2)
    (result,) = found.results
    assert (result.label, found.method, found.labels) == ("A", "blend", 2)
    assert {example.label for example in result.nearest} == {"A"}
    report = client.report_on_collection(bank)
    assert (report.examples, report.labels, report.recall["R@1"]) == (6, 2, 1.0)
    fitted = client.fit_collection(bank)
    assert (fitted.examples, fitted.labels) == (6, 2)
    assert client.classify(poses=CLIP, collection=bank, method="probe").results[0].label == "A"
    with pytest.raises(NotFoundError):
        client.report_on_collection("nothing")


def test_signs_are_found_in_a_recording(client):
    found = client.spot(pose=HOUSE, query=["sun", "house"], threshold=-1.0)
    assert found.duration_s > 1
    assert found.windows > 0
    assert found.found
    assert {sign.label for sign in found.found} <= {"sun", "house"}
    for sign in found.found:
        assert 0 <= sign.start_s < sign.end_s <= found.duration_s + 0.1


def test_finds_come_as_files(client):
    given = {"pose": HOUSE, "query": ["sun", "house"], "threshold": -1.0}
    found = client.spot(**given)
    assert client.annotate("vtt", **given).startswith(b"WEBVTT")
    assert b"ANNOTATION_DOCUMENT" in client.annotate("eaf", **given)
    assert client.annotate("csv", **given).decode().strip().count("\n") == len(found.found)
    with pytest.raises(ValueError, match="no form 'srt'"):
        client.annotate("srt", **given)


def test_signing_is_scored_against_references(client):
    by_pose = client.score([CLIP, CLIP], references=[CLIP, CLIP])
    assert [pair.cosine for pair in by_pose.pairs] == pytest.approx([1, 1], abs=1e-5)
    assert by_pose.corpus["cosine"].low <= by_pose.corpus["cosine"].mean <= by_pose.corpus["cosine"].high + 1e-9
    by_text = client.score([CLIP], texts=["house"])
    assert by_text.signature
    assert -1 <= by_text.pairs[0].cosine <= 1
