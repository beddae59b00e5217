"""A document may be a form: clips as file parts, texts as repeated fields, options as fields."""

from __future__ import annotations

import io

import pytest

from tests.app.estimators import b64

ROUTE = "/api/similarity"


def part(data: bytes, name: str = "clip") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), name


def test_a_form_is_answered_as_the_same_document(client, pose_bytes, pose_base64):
    document = {"text": ["house", "sun"], "pose": [pose_base64, pose_base64], "sign_language": "ase", "flip": "always"}
    form = {
        "text": ["house", "sun"],
        "pose": [part(pose_bytes), part(pose_bytes)],
        "sign_language": "ase",
        "flip": "always",
    }
    expected = client.post(ROUTE, json=document)
    answer = client.post(ROUTE, data=form)
    assert answer.status_code == expected.status_code == 200
    assert answer.json == expected.json
    assert answer.json["rows"] == ["/pose/0", "/pose/1"]
    assert answer.json["columns"] == ["/text/0", "/text/1"]


def test_poses_and_videos_stand_in_one_form(make_video_client, pose_bytes, pose_base64):
    client = make_video_client()
    form = {"text": "house", "video": [part(b"ase_A")], "pose": [part(pose_bytes)], "truncate": "true"}
    document = {"text": ["house"], "video": [b64(b"ase_A")], "pose": [pose_base64], "truncate": True}
    answer = client.post(ROUTE, data=form)
    assert answer.status_code == 200, answer.text
    assert answer.json == client.post(ROUTE, json=document).json
    assert answer.json["rows"] == ["/pose/0", "/video/0"]


def test_files_may_come_packed_and_without_a_name(client, pose_bytes, pose_base64):
    import gzip

    body = (
        b'--edge\r\nContent-Disposition: form-data; name="pose"\r\n\r\n'
        + gzip.compress(pose_bytes)
        + b"\r\n--edge--\r\n"
    )
    answer = client.post(ROUTE, data=body, content_type="multipart/form-data; boundary=edge")
    assert answer.status_code == 200
    assert answer.json["cosine"] == client.post(ROUTE, json={"pose": [pose_base64]}).json["cosine"]


@pytest.mark.parametrize(
    ("form", "status", "fragment"),
    [
        ({"text": "house"}, 422, "pose is missing; send one or more file parts"),
        ({"text": "house", "clip": (io.BytesIO(b"x"), "x.pose")}, 422, "name the file parts 'pose' or 'video'"),
        ({"text": "house", "pose": [(io.BytesIO(b"no pose"), "x.pose")]}, 422, "/pose/0"),
        ({"pose": [(io.BytesIO(b"x"), "x")], "flip": ["auto", "never"]}, 422, "flip is given 2 times"),
        ({"pose": [(io.BytesIO(b"x"), "x")], "flop": "auto"}, 422, "did you mean 'flip'"),
        ({"pose": [(io.BytesIO(b"x"), "x")], "truncate": "perhaps"}, 422, "/truncate"),
        ({"text": ["house"] * 5, "pose": [(io.BytesIO(b"x"), "x")] * 4}, 413, "9 items"),
    ],
)
def test_what_is_wrong_with_a_form_is_named(client, form, status, fragment):
    answer = client.post(ROUTE, data=form, content_type="multipart/form-data")
    assert answer.status_code == status
    assert fragment in answer.json["detail"]


def test_a_field_that_is_not_utf_8_is_refused_and_not_guessed(client):
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="pose"\r\n\r\nx\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="text"\r\n\r\ngr\xfcn\r\n--edge--\r\n'
    )
    answer = client.post(ROUTE, data=body, content_type="multipart/form-data; boundary=edge")
    assert (answer.status_code, answer.json["code"]) == (422, "input_invalid")
    assert "text cannot be read: byte 2 of its value (0xFC) is not UTF-8" in answer.json["detail"]
    assert answer.json["errors"][0]["pointer"] == "/text"


def test_texts_and_poses_keep_to_the_limit_of_a_body_without_videos(make_client):
    client = make_client(max_body_bytes=2000, max_video_bytes=1_000_000)
    answer = client.post(ROUTE, data={"text": "house", "pose": [part(b"x" * 3000)]})
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_the_document_of_the_api_describes_the_form(client):
    described = client.get("/openapi.json").json["paths"][ROUTE]["post"]["requestBody"]["content"]
    fields = described["multipart/form-data"]["schema"]["properties"]
    assert fields["pose"]["items"]["format"] == fields["video"]["items"]["format"] == "binary"
    assert "sign_language" in fields
