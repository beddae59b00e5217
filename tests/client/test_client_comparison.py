"""Long lists of texts and clips are compared in parts, with the scores of one request."""

from __future__ import annotations

import httpx2
import numpy as np
import pytest

from signclip_client import Limits, TextError
from tests.client.conftest import CLIP, POSES, Faulty

WORDS = [f"<en> <ase> {letter}{number}" for letter in "ABCDEFGHIJ" for number in range(30)]
CLIPS = {"poses": [CLIP, POSES / "house.pose", CLIP], "videos": [b"ase_A"], "truncate": True}


def check_equal(parts, whole):
    for name in ("cosine", "dot", "probabilities"):
        assert getattr(parts, name).dtype == np.float32
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-4, atol=1e-5)
    assert (parts.rows, parts.columns) == (whole.rows, whole.columns)
    assert (parts.prompts, parts.trimmed) == (whole.prompts, whole.trimmed)
    assert set(parts.warnings) == set(whole.warnings)
    assert set(parts.errors) == set(whole.errors)


@pytest.mark.parametrize("together", [4, 7, 256])
def test_more_texts_than_fit_beside_clips_are_sent_in_parts(roomy_url, make_client, monkeypatch, together):
    texts = [*WORDS, "\U0001f3e0"]
    monkeypatch.setattr("signclip_client.comparison.MOST_TOGETHER", 1000)
    whole = make_client(roomy_url).similarity(texts=texts if together > 7 else texts[-20:], **CLIPS)
    monkeypatch.setattr("signclip_client.comparison.MOST_TOGETHER", together)
    parts = make_client(roomy_url).similarity(texts=texts if together > 7 else texts[-20:], **CLIPS)
    check_equal(parts, whole)
    assert whole.rows == ("/pose/0", "/pose/1", "/pose/2", "/video/0")
    np.testing.assert_allclose(parts.probabilities.sum(axis=1), 1, rtol=1e-5)


def test_parts_that_the_service_finds_too_long_are_halved_clips_first(url, roomy_url, make_client):
    given = {"texts": ["house", "sun", "tree"] * 4, "sign_language": "ase", **CLIPS}  # the service takes 8 at once
    check_equal(make_client(url).similarity(**given), make_client(roomy_url).similarity(**given))


def test_skipped_items_have_no_part_in_the_probabilities(url, roomy_url, make_client):
    texts = ["house", "sun", "x" * 11_000, *WORDS[:12], "y" * 11_000]
    given = {"texts": texts, "poses": [CLIP, b"bad", CLIP], "on_error": "skip"}
    parts = make_client(url).similarity(**given)
    check_equal(parts, make_client(roomy_url).similarity(**given))
    assert np.isnan(parts.probabilities).all(axis=0).nonzero()[0].tolist() == [2, 15]
    found = {(error.pointer, error.index) for error in parts.errors}
    assert found == {("/text/2", 2), ("/text/15", 15), ("/pose/1", 1)}


def test_places_count_in_the_callers_list_of_texts(url, make_client):
    texts = [*WORDS[:11], "x" * 11_000]
    with pytest.raises(TextError, match="/text/11: ") as caught:
        make_client(url).similarity(texts=texts, poses=[CLIP])
    assert [place.pointer for place in caught.value.places] == ["/text/11"]


def answer(texts: int, *, none: float) -> httpx2.Response:
    rows = {"cosine": [[0.0] * texts], "dot": [[0.0] * texts], "probabilities": [[1 / texts] * texts]}
    columns = [f"/text/{number}" for number in range(texts)]
    more = {"columns": columns, "model_name": "tiny", "none_of_these": [none]}
    return httpx2.Response(200, json={**rows, "rows": ["/pose/0"], **more})


def test_none_of_these_is_of_all_texts_at_once_or_left_out(make_client, monkeypatch):
    monkeypatch.setattr("signclip_client.comparison.MOST_TOGETHER", 4)
    service = Faulty(answer(3, none=0.25), answer(3, none=0.5), answer(1, none=0.125))
    client = make_client("http://x", transport=service.transport, limits=Limits(concurrency=1))
    whole = client.similarity(texts=list("abc"), poses=[CLIP])
    assert (whole.none_of_these.tolist(), whole.warnings) == ([0.25], ())
    parts = client.similarity(texts=list("abcd"), poses=[CLIP])
    assert parts.none_of_these is None
    np.testing.assert_allclose(parts.probabilities, 0.25)
    assert "none_of_these is left out" in parts.warnings[0]
