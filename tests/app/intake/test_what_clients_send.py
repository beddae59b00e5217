"""What real clients send: null for what is unset, other encodings, data URLs, forms without file names."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from app.errors import Base64Error
from app.intake.base64_text import decode_base64

TEXT, POSE, OPENAI = "/api/embed/text", "/api/embed/pose", "/v1/embeddings"
JSON = {"Content-Type": "application/json"}
RAW = b"\xfb\xff\xfe.pose" * 3
ENCODED = base64.b64encode(RAW).decode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TEXT, {"text": "house", "normalize": None, "encoding_format": None, "on_error": None, "truncate": None}),
        (TEXT, {"text": "house", "model_name": None, "sign_language": None, "spoken_language": None}),
        (OPENAI, {"input": "house", "encoding_format": None, "dimensions": None, "user": None, "model": None}),
        ("/api/similarity", {"text": ["house", "sun"], "pose": None, "flip": None, "person": None, "min_seen": None}),
    ],
)
def test_null_is_unset(client, path, body):
    without = {key: value for key, value in body.items() if value is not None}
    assert client.post(path, json=body).json == client.post(path, json=without).json
    assert client.post(path, json=body).status_code == 200


@pytest.mark.parametrize(("path", "key"), [(TEXT, "text"), (OPENAI, "input"), (POSE, "pose")])
def test_null_is_no_text_and_no_clip(client, path, key):
    answer = client.post(path, json={key: None})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, f"/{key}")


def test_null_hides_no_unknown_key(client):
    assert client.post(TEXT, json={"text": "house", "flipp": None}).json["errors"][0]["pointer"] == "/flipp"


DOCUMENT = '{"text": "Ü"}'


@pytest.mark.parametrize(
    ("body", "content_type", "detail"),
    [
        (DOCUMENT.encode("latin-1"), "application/json", "byte 10 of the body (0xDC) is not UTF-8"),
        (DOCUMENT.encode("latin-1"), "application/json; charset=iso-8859-1", "charset='iso-8859-1'"),
        (DOCUMENT.encode("cp1252"), "", "byte 10 of the body"),
        (DOCUMENT.encode("utf-16"), "application/json", "UTF-16"),
        (DOCUMENT.encode("utf-16-le"), "application/json", "UTF-16"),
        (DOCUMENT.encode("utf-16-be"), "", "UTF-16"),
    ],
)
def test_another_encoding_is_named(client, body, content_type, detail):
    answer = client.post(TEXT, data=body, headers={"Content-Type": content_type} if content_type else {})
    assert (answer.status_code, answer.json["code"]) == (400, "body_not_json")
    assert detail in answer.json["detail"]


def test_a_byte_order_mark_is_skipped(client):
    body = b"\xef\xbb\xbf" + json.dumps({"text": "house"}).encode()
    assert client.post(TEXT, data=body, headers=JSON).status_code == 200


@pytest.mark.parametrize(
    ("body", "named"),
    [(b"\x1f\x8b\x08" + bytes(range(128, 228)), "gzip"), (b"\x89PNG\r\n\x1a\n" + bytes(99) + b"\xff", "PNG")],
)
def test_bytes_without_a_content_type_are_named(client, body, named, pose_bytes):
    for data, name in ((body, named), (pose_bytes, ".pose")):
        detail = client.post(POSE, data=data).json["detail"]
        assert name in detail
        assert "there is no Content-Type; send a file as application/octet-stream" in detail
        detail = client.post(POSE, data=data, headers=JSON).json["detail"]
        assert "Content-Type is 'application/json'" in detail


@pytest.mark.parametrize(
    "text",
    [
        ENCODED,
        ENCODED[:8] + "\r\n" + ENCODED[8:] + "\n",
        f"data:application/octet-stream;base64,{ENCODED}",
        f"data:video/webm;codecs=vp8,opus;base64,{ENCODED}",
        f'data:video/webm;codecs="vp8,opus;base64,";base64,{ENCODED}',
        f"DATA:video/x-matroska;codecs=avc1,opus;BASE64,{ENCODED}",
        f"data:;base64,{quote(ENCODED)}",
        f"data:application/octet-stream,{quote(RAW)}",
        f"data:,{quote(RAW)}",
    ],
)
def test_base64_and_data_urls_are_decoded(text):
    assert decode_base64(text) == RAW


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ENCODED[:-1], "not a multiple of 4"),
        (ENCODED + "===", "too much padding"),
        (ENCODED.replace("+", "-").replace("/", "_"), "'-' at 0 belongs to URL-safe base64"),
        (ENCODED.replace("+", " "), "blank at 0; a form turns '+' into a blank"),
        ("AA==" + ENCODED, "'=' at 2 ends the data"),
        ("/home/me/clip.pose", "a path or an address"),
        ("C:\\clips\\house.mp4", "a path or an address"),
        ("https://example.org/clip.mp4?x=1", "a path or an address"),
        ("blob:https://example.org/0d1", "a path or an address"),
        ("clip.webm", "a path or an address"),
        (quote(ENCODED), "'%' at"),
        ("Häuser!!", "'ä' at 1"),
        ("data:video/webm;base64", "a data URL without a comma"),
    ],
)
def test_what_is_no_base64_is_named(client, text, reason):
    with pytest.raises(Base64Error) as refusal:
        decode_base64(text)
    assert reason in str(refusal.value)
    answer = client.post(POSE, json={"pose": ["AAAA", text], "on_error": "skip"})
    assert [(error["index"], error["code"]) for error in answer.json["errors"]] == [
        (0, answer.json["errors"][0]["code"]),
        (1, "base64_invalid"),
    ]


def write_form(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    body = b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name.encode(), b"", content)
        for name, content in parts
    )
    return body + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


def test_a_file_part_needs_no_file_name(client, pose_bytes):
    body, headers = write_form(("pose", pose_bytes), ("flip", b"auto"), ("pose", pose_bytes))
    answer = client.post(POSE, data=body, headers=headers)
    assert answer.status_code == 200
    named = client.post(f"{POSE}?flip=auto", data=pose_bytes, headers={"Content-Type": "application/octet-stream"})
    assert answer.json["embeddings"] == named.json["embeddings"] * 2


def test_bytes_of_a_file_without_a_name_are_no_fields(client, pose_bytes):
    """Fields have a small limit of their own; a clip has more bytes."""
    body, headers = write_form(*[("pose", pose_bytes)] * 7)
    assert len(body) > 300_000
    assert client.post(POSE, data=body, headers=headers).status_code == 200
    body, headers = write_form(("pose", pose_bytes), ("flip", b"x" * 300_000))
    assert client.post(POSE, data=body, headers=headers).status_code == 413


@pytest.mark.parametrize("path", [TEXT, f"{TEXT}/", "/healthz/", "/api/models/"])
def test_a_slash_at_the_end_changes_nothing(client, path):
    answer = client.post(path, json={"text": "house"}) if TEXT in path else client.get(path)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "meant"),
    [("/embeddings", "/v1/embeddings"), ("/embed/text", TEXT), ("/api/embed/texts", TEXT), ("/readiness", None)],
)
def test_an_unknown_route_names_the_one_that_was_meant(client, path, meant):
    answer = client.post(path, json={"input": "house"})
    assert answer.status_code == 404
    assert (f"did you mean {meant}?" in answer.json["detail"]) == (meant is not None)
    assert ("error" in answer.json) == (path == "/embeddings")


def test_a_wrong_method_names_the_right_ones(client):
    answer = client.delete(TEXT)
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (405, {"GET", "HEAD", "OPTIONS", "POST"})
    assert answer.json["detail"] == "DELETE is not a method of this route; use GET or HEAD or POST"
    assert client.get("/v1/embeddings").json["detail"].endswith("use POST")


def test_token_arrays_name_the_setting_that_avoids_them(client):
    for tokens in ([101], [[101, 7], [9]]):
        assert "check_embedding_ctx_length=False" in client.post(OPENAI, json={"input": tokens}).json["detail"]


def test_a_list_as_long_as_openai_takes_is_answered(client):
    assert len(client.post(OPENAI, json={"input": ["sun"] * 2048}).json["data"]) == 2048


@pytest.mark.parametrize(("path", "key"), [(TEXT, "text"), (OPENAI, "input")])
def test_texts_alone_have_a_limit_of_their_own(make_client, path, key):
    client = make_client(max_texts=8, max_items=2)
    assert client.post(path, json={key: ["a"] * 8}).status_code == 200
    refused = client.post(path, json={key: ["a"] * 9})
    assert (refused.status_code, refused.json["code"]) == (413, "too_many_items")
    assert "9 items; one request may hold 8" in refused.json["detail"]


@pytest.mark.parametrize(
    ("document", "warning"),
    [
        ({"text": ""}, "/text: the text is blank"),
        ({"text": ["sun", " \n"]}, "/text/1: the text is blank"),
        ({"text": "\u200b\u202e"}, "/text: the text is blank"),
        ({"text": "\0", "sign_language": "ase"}, "/text: the text is blank"),
        ({"text": "\ufffd"}, "/text: the text is blank"),
        ({"text": "gr\ufffdn"}, "/text: 1 of 4 characters are U+FFFD, so they were lost when the text was decoded"),
        ({"text": "<en> <asl> house"}, "/text: <asl> is not a tag of model 'tiny'; American Sign Language is <ase>"),
        ({"text": "<en> <lis> sun"}, "/text: <lis> is not a tag of model 'tiny'; Italian Sign Language is <ise>"),
        ({"text": "<xx> <ase> sun"}, "/text: <xx> is not a tag of model 'tiny'"),
        ({"text": "<en> <ase> <gsg> sun"}, "/text: 2 sign language tags (<ase>, <gsg>)"),
        ({"text": "<en> <ase> sun", "sign_language": "ase"}, "/text: 2 sign language tags (<ase>, <ase>)"),
        ({"text": "\U0001f6f8"}, "/text: all 1 word pieces are unknown to model 'tiny'"),
    ],
)
def test_texts_that_a_model_reads_badly_are_a_warning(client, document, warning):
    found = client.post(TEXT, json=document).json["warnings"]
    assert any(sentence.startswith(warning) for sentence in found)
    compared = client.post("/api/similarity", json={**document, "text": [*([document["text"]] * 1), "sun"]})
    if isinstance(document["text"], str):
        assert any(warning.partition(": ")[2] in sentence for sentence in compared.json["warnings"])
    if "sign_language" not in document:
        openai = client.post(OPENAI, json={"input": document["text"]}).json["warnings"]
        assert any(sentence.startswith(warning.replace("/text", "/input")) for sentence in openai)


@pytest.mark.parametrize("text", ["", " \u3000", "\u200b\u202e", "\0\x1b", "\ufffd"])
def test_every_text_that_is_called_blank_has_the_tokens_of_no_text(client, engine, text):
    assert "/text/0: the text is blank" in client.post(TEXT, json={"text": [text, ""]}).json["warnings"]
    blank, empty = engine.requests[-1].items
    assert blank.tolist() == empty.tolist()


def test_a_good_prompt_has_no_warning(client):
    for document in ({"text": "<en> <ase> sun"}, {"text": "sun", "sign_language": "asl"}, {"text": "a < b > c"}):
        assert not [w for w in client.post(TEXT, json=document).json.get("warnings", []) if "tag" in w]


@pytest.mark.parametrize("word", ["English", "german"])
def test_a_spoken_language_is_a_tag(client, word):
    answer = client.post(TEXT, json={"text": "sun", "sign_language": "ase", "spoken_language": word})
    assert answer.status_code == 422
    assert "did you mean" in answer.json["detail"]


def test_models_are_listed_as_openai_lists_them(client):
    listed = client.get("/v1/models").json
    assert listed["object"] == "list"
    assert "tiny" in [model["id"] for model in listed["data"]]
    assert client.get("/v1/models/tiny").json == next(model for model in listed["data"] if model["id"] == "tiny")
    missing = client.get("/v1/models/tinny")
    assert (missing.status_code, missing.json["error"]["code"]) == (404, "model_unknown")
