"""Files as people send them: what was recorded lies in data/, what can be made of it is made here.

The poses are made from the letter A in the fingerspelling lexicon of spoken-to-signed (MIT). The videos are made from
pose-format's test video (MIT).
"""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from typing import Literal

import numpy as np
import zstandard
from pose_format import Pose
from pose_format.pose_header import PoseHeader, PoseHeaderDimensions

DATA = Path(__file__).parent / "data"
PARTS = {"left": "LEFT_HAND_LANDMARKS", "right": "RIGHT_HAND_LANDMARKS"}


def read_data(name: str) -> bytes:
    """The bytes of a recorded file."""
    return (DATA / name).read_bytes()


def letter() -> Pose:
    """A clean pose of four frames, 586 points, 500 × 500 pixels, 25 frames a second; the left hand is never seen."""
    pose = Pose.read(read_data("letter_A.pose"))
    # pose-format gives one header to all readers of equal bytes; this one may be changed.
    size = pose.header.dimensions
    header = PoseHeader(0.2, PoseHeaderDimensions(size.width, size.height, size.depth), pose.header.components)
    return Pose(header, pose.body)


def to_bytes(pose: Pose) -> bytes:
    """A .pose file of version 0.2."""
    file = io.BytesIO()
    pose.write(file)
    return file.getvalue()


def to_bytes_v0_1(pose: Pose) -> bytes:
    """A .pose file of version 0.1, which pose-format no longer writes."""
    header = io.BytesIO()
    pose.header.write(header)
    frames, people = pose.body.data.shape[:2]
    sizes = struct.pack("<HHH", round(pose.body.fps), frames, people)
    arrays = np.asarray(pose.body.data, "<f4").tobytes() + np.asarray(pose.body.confidence, "<f4").tobytes()
    return struct.pack("<f", 0.1) + header.getvalue()[4:] + sizes + arrays


def places(pose: Pose, component: str) -> list[int]:
    """Where the points of a component are."""
    names = [part.name for part in pose.header.components for _ in part.points]
    return [place for place, name in enumerate(names) if name == component]


def with_nan_hands() -> Pose:
    """As loaders of Sem-Lex save poses: NaN where a hand is absent, with confidence 1 everywhere."""
    pose = letter()
    data, confidence = pose.body.data.data, pose.body.confidence
    for component in PARTS.values():
        hand = places(pose, component)
        unseen = confidence[:, 0, hand] == 0
        data[:, 0, hand] = np.where(unseen[..., None], np.nan, data[:, 0, hand])
    data[:2, 0, places(pose, PARTS["right"])] = np.nan
    confidence[:] = 1
    return pose


def with_fps(fps: float) -> Pose:
    """The letter with another frame rate in its header."""
    pose = letter()
    pose.body.fps = fps
    return pose


def scaled(kind: Literal["shares", "shoulder widths", "y up", "negative y"]) -> Pose:
    """The letter in other coordinates than pixels from the picture's top left corner."""
    pose = letter()
    data, size = pose.body.data.data, pose.header.dimensions
    seen = pose.body.confidence[..., None] != 0
    x, y = data[..., 0].copy(), data[..., 1].copy()
    if kind == "shares":
        new = x / size.width, y / size.height
        pose.header.dimensions = PoseHeaderDimensions(1, 1, 1)
    elif kind == "shoulder widths":
        shoulders = data[:, 0, 11:13, :2]
        width = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1).mean()
        middle = shoulders.mean(axis=(0, 1))
        new = (x - middle[0]) / width, (y - middle[1]) / width
        data[..., 2] /= width
    else:
        new = x, (size.height if kind == "y up" else 0) - y
    data[..., 0], data[..., 1] = np.where(seen[..., 0], new[0], 0), np.where(seen[..., 0], new[1], 0)
    return pose


def turned(quarters: int) -> Pose:
    """The letter turned clockwise by quarters of a turn, as a camera's picture without the note that it is turned."""
    pose = letter()
    data, size = pose.body.data.data, pose.header.dimensions
    for _ in range(quarters % 4):
        x, y = data[..., 0].copy(), data[..., 1].copy()
        data[..., 0], data[..., 1] = size.height - y, x
    data[pose.body.confidence == 0] = 0
    return pose


def packed(data: bytes, suffix: str) -> bytes:
    """A file packed as its suffix says."""
    return gzip.compress(data) if suffix == ".gz" else zstandard.ZstdCompressor().compress(data)
