"""What callers give to both clients: keys, addresses, limits, and items of every kind of Python."""

from __future__ import annotations

import json

import numpy as np
import pytest

from signclip_client import Limits, PoseError
from tests.client.conftest import Faulty
from tests.client.test_client_faults import embedded, refused


@pytest.mark.parametrize("key", ["secret key", "sécret-key", "“secret-key”", "secret\nkey"])
def test_a_key_that_no_header_carries_is_refused_and_not_shown(make_client, key):
    with pytest.raises(ValueError, match="the API key has") as refusal:
        make_client(api_key=key)
    assert "cret" not in str(refusal.value)


@pytest.mark.parametrize(("key", "sent"), [("secret-key\n", "Bearer secret-key"), ("", None), (" ", None)])
def test_white_space_around_a_key_is_left_out(make_client, key, sent):
    service = Faulty(embedded())
    make_client(" example.org ", api_key=key, transport=service.transport).embed_text("house")
    (request,) = service.requests
    assert (request.url.host, request.headers.get("Authorization")) == ("example.org", sent)


@pytest.mark.parametrize("url", ["ftp://localhost", "http://", "http://localhost:port", "localhost:port/signs"])
def test_an_address_of_no_service_is_refused_at_once(make_client, url):
    with pytest.raises(ValueError, match="is no address"):
        make_client(url)


def test_limits_are_numbers():
    wrong = [("timeout_s", float("nan")), ("timeout_s", float("inf")), ("tries", 0), ("longest_wait_s", -1.0)]
    for name, value in wrong:
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            Limits(**{name: value})


def test_missing_values_are_no_texts(make_client):
    for missing, kind in [(None, "NoneType"), (float("nan"), "float"), (b"house", "bytes")]:
        with pytest.raises(TypeError, match=f"/text/1 is of type {kind}"):
            make_client().embed_text(["house", missing])
        with pytest.raises(TypeError, match=f"/text/1 is of type {kind}"):
            make_client().similarity(texts=["house", missing], poses=b"pose")
        with pytest.raises(TypeError, match=f"/text/1 is of type {kind}"):
            make_client().score(b"pose", texts=["house", missing])


def test_what_only_resembles_a_clip_is_named(make_client, tmp_path):
    (tmp_path / "a.pose").write_bytes(b"one line\nanother line\n")
    with (tmp_path / "a.pose").open("rb") as file, pytest.raises(TypeError, match="pose is an open file"):
        make_client().embed_pose(file)
    with pytest.raises(TypeError, match="pose is a bytearray"):
        make_client().embed_pose(bytearray(b"pose"))
    with pytest.raises(TypeError, match="/video/0 is of type int"):
        make_client().embed_video([1])
    with pytest.raises(TypeError, match="one of entries is of type dict"):
        make_client().store_entries("signs", [{"text": "house"}])


def test_numbers_and_arrays_of_numpy_are_written_as_those_of_python(make_client):
    service = Faulty(embedded())
    client = make_client(transport=service.transport)
    client.embed_pose(b"pose", person=np.int64(1), truncate=np.bool_(True))
    sent = json.loads(service.requests[0].content)
    assert (sent["person"], sent["truncate"]) == (1, True)


def test_a_number_that_json_lacks_is_refused_before_anything_is_sent(make_client):
    service = Faulty()
    with pytest.raises(ValueError, match="NaN or infinite"):
        make_client(transport=service.transport).embed_video(b"video", min_seen=np.float32("nan"))
    assert service.requests == []


def test_arrays_and_generators_are_lists_everywhere(make_client):
    service = Faulty(refused(422, "pose_truncated"), refused(422, "pose_truncated"))
    client = make_client(transport=service.transport)
    with pytest.raises(PoseError):
        client.score((clip for clip in [b"a", b"b"]), references=(clip for clip in [b"c"]))
    with pytest.raises(PoseError):
        client.classify(poses=b"a", labels=np.array(["A", "B"]))
    scored, classified = (json.loads(request.content) for request in service.requests)
    assert (len(scored["pose"]), len(scored["reference_pose"]), classified["labels"]) == (2, 1, ["A", "B"])
    with pytest.raises(ValueError, match="no entry"):
        client.store_entries("signs", iter(()))
    with pytest.raises(ValueError, match="no text"):
        client.embed_text(iter(()))
