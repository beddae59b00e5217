"""Options in a query or a form: each is given once, in UTF-8, on every route."""

from __future__ import annotations

from io import BytesIO

import pytest

WORDS = "/api/collections/words"
RAW = "application/octet-stream"
LINES = "application/x-ndjson"
ROUTES = [
    ("POST", "/api/embed/pose", RAW),
    ("POST", "/api/spot", RAW),
    ("POST", "/api/search", RAW),
    ("POST", f"{WORDS}/search", RAW),
    ("POST", f"{WORDS}/entries", LINES),
    ("GET", f"{WORDS}/entries:export", None),
]


@pytest.mark.parametrize(("method", "path", "media"), ROUTES)
@pytest.mark.parametrize(
    ("query", "fragment"),
    [
        ("sign_language=a%F1a", "the query has %F1, which is not UTF-8"),
        ("person=0&person=1", "person is given 2 times"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(client, pose_bytes, method, path, media, query, fragment):
    assert client.put(WORDS, json={}).status_code == 200
    answer = client.open(f"{path}?{query}", method=method, data=pose_bytes if media else None, content_type=media)
    assert (answer.status_code, answer.json["code"]) == (422, "input_invalid")
    assert fragment in answer.json["detail"]


def test_a_field_of_entries_is_given_once(client, pose_bytes):
    assert client.put(WORDS, json={}).status_code == 200
    form = {"pose": (BytesIO(pose_bytes), "a.pose"), "on_error": ["skip", "fail"]}
    answer = client.post(f"{WORDS}/entries", data=form)
    assert (answer.status_code, answer.json["detail"]) == (422, "on_error is given 2 times")
