"""Whatever the bytes, the answer is a vector or a typed refusal, never a 5xx."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

SEEDS = [
    ("/api/embed/text", {"text": ["house", "sun"], "sign_language": "ase", "spoken_language": "en", "normalize": True}),
    ("/api/embed/text", {"text": "house", "encoding_format": "base64", "on_error": "skip", "truncate": False}),
    ("/api/embed/pose", {"pose": ["AAAA"], "flip": "auto", "person": 0, "quality": True, "on_error": "skip"}),
    ("/api/similarity", {"text": ["house"], "pose": ["AAAA"], "anonymize": True, "model_name": "tiny"}),
    ("/api/pose/inspect", {"pose": "AAAA", "person": 0}),
    ("/v1/embeddings", {"input": ["house"], "model": "tiny", "dimensions": 32, "encoding_format": "base64"}),
]
POSE_ROUTES = ["/api/embed/pose?flip=auto&quality=true", "/api/embed/pose?anonymize=true", "/api/pose/inspect"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
QUIET = settings(
    max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


@pytest.fixture
def guarded(make_client):
    return make_client(api_keys=(SecretStr("right-key"),))


@st.composite
def mutated_documents(draw) -> tuple[str, bytes]:
    """A good body with some values, keys or bytes replaced."""
    path, seed = draw(st.sampled_from(SEEDS))
    document = dict(seed)
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from([*seed, "text", "pose", "input", "model_name", "nonsense"]) | st.text(max_size=12))
        document[key] = draw(ANYTHING)
    if document and draw(st.booleans()):
        del document[draw(st.sampled_from(sorted(document)))]
    body = bytearray(json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return path, bytes(body)


@st.composite
def mutated_poses(draw, original: bytes) -> bytes:
    """A real clip with bytes, counts or floats replaced, or cut."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, 2000) | st.integers(0, len(data)))
        match draw(st.sampled_from(["flip", "count", "float", "cut", "insert", "delete"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "count":
                data[at : at + 2] = struct.pack("<H", draw(st.sampled_from([0, 1, 2, 255, 32_768, 65_535])))
            case "float":
                data[at : at + 4] = struct.pack("<f", draw(st.floats(width=32)))
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                del data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


def check(answer) -> None:
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, answer.text
    if answer.status_code != 200:
        assert answer.mimetype == "application/problem+json"


@QUIET
@given(sent=mutated_documents())
def test_mutated_json(client, sent):
    path, body = sent
    check(client.post(path, data=body, headers={"Content-Type": "application/json"}))


@QUIET
@given(data=st.data())
def test_mutated_poses(client, pose_bytes, data):
    body = data.draw(mutated_poses(pose_bytes))
    path = data.draw(
        st.sampled_from(
            ["/api/embed/pose?flip=auto&quality=true", "/api/embed/pose?anonymize=true", "/api/pose/inspect"]
        )
    )
    check(client.post(path, data=body, headers={"Content-Type": "application/octet-stream"}))


@settings(QUIET, max_examples=200)
@given(
    body=st.binary(max_size=200),
    content_type=st.sampled_from(
        [
            "application/json",
            "application/octet-stream",
            "multipart/form-data; boundary=x",
            "multipart/form-data; boundary=",
            "multipart/form-data",
            "application/json; charset=latin-1",
            "a/b; c=d; e",
            "",
        ]
    ),
    coding=st.sampled_from(["", "gzip", "zstd", "identity", "br"]),
    path=st.sampled_from(["/api/embed/text", "/api/embed/pose", "/api/pose/inspect", "/v1/embeddings"]),
    query=st.text(max_size=20),
)
def test_any_bytes_of_any_type(client, body, content_type, coding, path, query):
    headers = {"Content-Type": content_type, **({"Content-Encoding": coding} if coding else {})}
    answer = client.post(path, data=body, headers=headers, query_string={"q": query} if query else None)
    assert 400 <= answer.status_code < 500


@settings(QUIET, max_examples=200)
@given(parts=st.binary(max_size=120))
def test_any_form(client, parts):
    body = b'--x\r\nContent-Disposition: form-data; name="pose"; filename="a"\r\n' + parts + b"\r\n--x--\r\n"
    answer = client.post("/api/embed/pose", data=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert 400 <= answer.status_code < 500


@settings(QUIET, max_examples=200)
@given(
    name=st.sampled_from(["X-Request-ID", "X-Timeout-Ms", "Authorization", "X-API-Key", "Accept", "Host", "Origin"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40),
)
def test_any_header(guarded, name, value):
    answer = guarded.post("/api/embed/text", json={"text": "sun"}, headers={name: value})
    assert answer.status_code < 500
