"""Reads a whole video as the estimation of its pose does."""

from __future__ import annotations

from tests.video.make_videos import Picture
from video.decoding import VideoReader
from video.estimates import VideoFacts, VideoLimits

LIMITS = VideoLimits()


def read(data: bytes, limits: VideoLimits = LIMITS) -> tuple[list[Picture], VideoFacts]:
    with VideoReader(data, limits) as reader:
        return list(reader.frames()), reader.facts()
