"""Files of other kinds sent as a pose and as a video: each refusal says what the file looks like and what to do."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

import poses
from poses import PoseError
from tests.processes.make_files import KINDS
from video.decoding import VideoReader
from video.errors import VideoError

DOWNLOAD = "download the file itself"
UNPACK = "npack it"
FETCH = "git lfs pull"
AS_BYTES = "read the file as bytes"
NOT_WHERE = "Send what the file holds, not where it is"
DECODE = "Decode it first"
AS_VIDEO = "Send it as a video, or estimate its pose first"
SEND_POSE, SEND_VIDEO = "Send the bytes of a .pose file", "Send the bytes of a video file"
JOIN = "oin all"
CONVERT = "ffmpeg -i"

# The file; what to do where it was sent as a pose; and as a video. None: it is one.
TABLE: dict[str, tuple[str | None, str | None]] = {
    "nothing": ("Check the path", "Check the path"),
    "zeros": ("fetch it again", "fetch it again"),
    "a sentence": (SEND_POSE, SEND_VIDEO),
    "blanks": (SEND_POSE, SEND_VIDEO),
    "Latin-1": (SEND_POSE, SEND_VIDEO),
    "UTF-16": (SEND_POSE, SEND_VIDEO),
    "a table": (SEND_POSE, SEND_VIDEO),
    "JSON": ("keypoints in JSON or CSV become one with pose_format", SEND_VIDEO),
    "a list of bytes": (SEND_POSE, SEND_VIDEO),
    "XML": (SEND_POSE, SEND_VIDEO),
    "a storage server's error": (DOWNLOAD, DOWNLOAD),
    "a page": (DOWNLOAD, DOWNLOAD),
    "a pointer of Git LFS": (FETCH, FETCH),
    "a pointer of git-annex": ("git annex get", "git annex get"),
    "an address": (NOT_WHERE, NOT_WHERE),
    "a path": (NOT_WHERE, NOT_WHERE),
    "a playlist": (NOT_WHERE, NOT_WHERE),
    "base64": (DECODE, DECODE),
    "a data URL": (DECODE, DECODE),
    "digits": (DECODE, DECODE),
    "a pose": (None, "Send it as a pose"),
    "a pose taken for UTF-8": (AS_BYTES, AS_BYTES),
    "a pose taken for Latin-1": (AS_BYTES, AS_BYTES),
    "an MP4 taken for UTF-8": (AS_BYTES, AS_BYTES),
    "xz": (UNPACK, UNPACK),
    "bzip2": (UNPACK, UNPACK),
    "zip": (UNPACK, UNPACK),
    "tar": (UNPACK, UNPACK),
    "7z": (UNPACK, UNPACK),
    "npy": ("make a .pose file of them with pose_format", "Send the video itself"),
    "npz": ("make a .pose file of them with pose_format", "Send the video itself"),
    "a pickle": ("make a .pose file of them with pose_format", "Send the video itself"),
    "parquet": ("make a .pose file of them with pose_format", "Send the video itself"),
    "safetensors": ("a model's file, not a clip", "a model's file, not a clip"),
    "PNG": ("A pose is estimated from a video", "It is a picture: a sign needs a video"),
    "JPEG": ("A pose is estimated from a video", "It is a picture: a sign needs a video"),
    "WebP": ("A pose is estimated from a video", "It is a picture: a sign needs a video"),
    "HEIC": ("A pose is estimated from a video", "It is a picture: a sign needs a video"),
    "MP4": (AS_VIDEO, "Record or download it again"),
    "WebM": (AS_VIDEO, "Download it again"),
    "SWF": (AS_VIDEO, CONVERT),
    "the middle of a WebM": (JOIN, JOIN),
    "a fragment of an MP4": (JOIN, JOIN),
    "the end of an MP4": (JOIN, JOIN),
    "MP3": ("It is a sound and shows no signer", "It is a sound: send the video"),
    "WAV": ("It is a sound and shows no signer", "It is a sound: send the video"),
    "M4A": ("It is a sound and shows no signer", "It is a sound: send the video"),
    "PDF": (SEND_POSE, "Send the video itself"),
    "a companion of macOS": ("take that one", "take that one"),
    "a program": ("This is a program", "This is a program"),
    "noise": ("Check that it is the right file", "Check that it is the right file"),
}
SENT_AS_POSE = [kind for kind, (advice, _) in TABLE.items() if advice is not None]
PACKED = ("gzip", "zstd")


@pytest.mark.parametrize("kind", SENT_AS_POSE)
def test_what_is_no_pose_is_called_what_it_is(kind: str, client: FlaskClient) -> None:
    make, _, name = KINDS[kind]
    with pytest.raises(PoseError) as refusal:
        poses.read(make())
    assert refusal.value.code == "not_a_pose"
    assert name in str(refusal.value)
    assert str(TABLE[kind][0]) in str(refusal.value)
    answer = client.post("/api/pose/inspect", data=make(), headers={"Content-Type": "application/octet-stream"})
    assert (answer.status_code, answer.json["code"]) == (422, "not_a_pose")
    assert str(refusal.value) in answer.json["detail"]


@pytest.mark.parametrize("kind", TABLE)
def test_what_is_no_video_is_called_what_it_is(kind: str) -> None:
    make, family, name = KINDS[kind]
    with pytest.raises(VideoError) as refusal, VideoReader(make()) as reader:
        list(reader.frames())
    expected = {"fragment": "video_head_missing", "video": "video_unreadable"}.get(family, "not_a_video")
    assert refusal.value.code == ("video_format_unsupported" if kind == "SWF" else expected)
    assert name in str(refusal.value)
    assert str(TABLE[kind][1]) in str(refusal.value)


@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_file_that_holds_no_pose_is_called_what_it_holds(packing: str) -> None:
    """The table's files of these kinds hold noise after a pose's first bytes; as a video they are to be unpacked."""
    make, _, name = KINDS[packing]
    with pytest.raises(PoseError):
        poses.read(make())
    with pytest.raises(VideoError, match=UNPACK) as refusal, VideoReader(make()):
        pass
    assert name in str(refusal.value)
