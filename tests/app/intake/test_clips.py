"""The one way in for clips: every form of body gives the same options, and says where each clip stands."""

from __future__ import annotations

import io

import pytest
from flask import g, request

from app import telemetry
from app.access.places import HeldBody, HeldBytes
from app.errors import InputError, TooManyItemsError
from app.intake.clips import RequestClips, read_clips
from app.intake.schemas import PoseOptions, PoseRequest

OPTIONS = {"flip": "auto", "person": 1, "truncate": True}
FIELDS = {"flip": "auto", "person": "1", "truncate": "true"}
RAW = "application/octet-stream"


@pytest.fixture
def read(client):
    """Read the clips of a request that the test describes as Flask's test client would send it."""

    def read_request(**sent: object) -> RequestClips[PoseOptions]:
        with client.application.test_request_context("/", method="POST", **sent):
            client.application.preprocess_request()
            assert telemetry.get_record()
            g.body = HeldBody(HeldBytes(1_000_000))
            return read_clips(request, "pose", whole=PoseRequest, options=PoseOptions, max_bytes=1_000_000, max_items=2)

    return read_request


@pytest.mark.parametrize(
    ("sent", "items", "pointers"),
    [
        ({"json": {"pose": "YQ==", **OPTIONS}}, ["YQ=="], ["/pose"]),
        ({"json": {"pose": ["YQ==", "Yg=="], **OPTIONS}}, ["YQ==", "Yg=="], ["/pose/0", "/pose/1"]),
        ({"data": {"pose": (io.BytesIO(b"a"), "a.pose"), **FIELDS}}, [b"a"], ["/pose/0"]),
        ({"data": b"a", "content_type": RAW, "query_string": FIELDS}, [b"a"], ["/pose/0"]),
    ],
    ids=["one in JSON", "several in JSON", "a form", "a raw file"],
)
def test_every_form_gives_items_options_and_pointers(read, sent, items, pointers):
    clips = read(**sent)
    assert (list(clips.items), list(clips.pointers)) == (items, pointers)
    assert {name: getattr(clips.options, name) for name in OPTIONS} == OPTIONS


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"pose": ["YQ=="] * 3}},
        {"data": {"pose": [(io.BytesIO(b"a"), "a.pose") for _ in range(3)]}},
    ],
)
def test_too_many_clips_are_refused_in_every_form(read, sent):
    with pytest.raises(TooManyItemsError, match="3 items; one request may hold 2"):
        read(**sent)


def test_json_has_its_own_types_and_files_have_strings(read):
    with pytest.raises(InputError, match="/person"):
        read(json={"pose": "YQ==", "person": "1"})
    with pytest.raises(InputError, match="/person"):
        read(data=b"a", content_type=RAW, query_string={"person": "one"})
