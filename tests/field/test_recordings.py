"""Recordings that are not whole: a later chunk, a fragment, an end, a film that never ended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.field.inputs import read_data
from tests.video.make_videos import clip, encode, moving, recorded
from video.decoding import VideoReader
from video.errors import VideoError, VideoHeadMissingError, VideoUnreadableError


def read(data: bytes) -> None:
    with VideoReader(data) as reader:
        list(reader.frames())


@pytest.mark.parametrize(
    "whole",
    [
        lambda: recorded([33 * index for index in range(40)]),
        lambda: recorded([33 * index for index in range(40)], codec="libvpx-vp9", sound=True),
        lambda: read_data("starts_at_one_hour.webm"),
        lambda: read_data("sideways.webm"),
    ],
    ids=["VP8", "VP9 with sound", "an hour late", "a phone"],
)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_later_chunk_of_a_webm_is_called_that(whole: Callable[[], bytes], share: float) -> None:
    data = whole()
    with pytest.raises(VideoHeadMissingError, match=r"a later chunk of a WebM recording, without its head\. Chunks"):
        read(data[int(len(data) * share) :])


def fragmented() -> bytes:
    return encode(
        moving(60), options={"g": "10"}, container_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    )


@pytest.mark.parametrize("at", [1, 2])
def test_a_later_fragment_of_an_mp4_is_called_that(at: int) -> None:
    data = fragmented()
    start = data.index(b"moof", data.index(b"moof") + at) - 4
    with pytest.raises(VideoHeadMissingError, match="a later chunk of an MP4 recording"):
        read(data[start:])


def test_a_recording_that_never_ended_is_called_that() -> None:
    data = clip(30)
    with pytest.raises(VideoUnreadableError, match=r"without its index \(moov\): the recording never ended"):
        read(data[: data.index(b"moov") - 4])
    with pytest.raises(VideoHeadMissingError, match="the end of an MP4"):
        read(data[data.index(b"moov") - 900 :])


def test_no_message_names_a_class_of_the_library() -> None:
    rng = np.random.default_rng(0)
    whole = clip(8)
    for data in [b"", b"x", whole[:40], whole[:-100], whole[:300] + rng.bytes(3000), rng.bytes(3000)]:
        with pytest.raises(VideoError) as refusal:
            read(data)
        assert "Error" not in str(refusal.value)
        assert len(str(refusal.value)) > 40
