"""Bytes of a .pose file in, a checked pose out."""

from __future__ import annotations

import math
import struct

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

from poses.errors import (
    PoseContentError,
    PoseEmptyError,
    PoseTooLargeError,
    PoseTooLongError,
    PoseTrailingError,
    PoseTruncatedError,
)
from poses.headers import Layout, ReadLimits, read_header

_BODY_V0_1 = struct.Struct("<HHH")  # fps, frames modulo 65536, people
_BODY_V0_2 = struct.Struct("<fIH")  # fps, frames, people
_FLOAT_BYTES = 4
_DEFAULT_LIMITS = ReadLimits()


def read(data: bytes, *, limits: ReadLimits = _DEFAULT_LIMITS) -> Pose:
    """Read a .pose file of version 0.1 or 0.2.

    What the header claims is compared with the length of the data before anything is allocated. A NaN or infinite
    coordinate is refused where its confidence says that the point was seen; where the confidence is 0 the stored value
    means nothing, and becomes 0, as the authors' preprocessing makes of NaN.

    Args:
        data: the whole file.
        limits: sizes past which a file is refused.
    Returns:
        A pose with a NumPyPoseBody: float32 data (frames, people, points, dims), masked where confidence is 0, and
        float32 confidence (frames, people, points). Header and body are the caller's own; the header's components are
        shared between poses of one layout and must not be changed.
    Raises:
        PoseError: and nothing else, whatever the bytes are.
    Source: pose_format.Pose.read, which this equals on every file that both accept.
    """
    if len(data) > limits.max_bytes:
        raise PoseTooLargeError(f"{len(data)} bytes; at most {limits.max_bytes} are read")
    header, layout, offset = read_header(data, limits=limits)
    fps, frames, people, offset = _read_sizes(data, offset, layout, version=round(header.version, 3))
    if frames > limits.max_frames:
        raise PoseTooLongError(f"{frames} frames; at most {limits.max_frames} are read")

    values_count = frames * people * layout.points * layout.dims
    values = np.frombuffer(data, "<f4", values_count, offset)
    values = values.reshape(frames, people, layout.points, layout.dims).astype(np.float32)
    confidence = np.frombuffer(data, "<f4", frames * people * layout.points, offset + values_count * _FLOAT_BYTES)
    confidence = confidence.reshape(frames, people, layout.points).astype(np.float32)
    _check_numbers(values, confidence)
    return Pose(header, NumPyPoseBody(fps, values, confidence))


def _read_sizes(data: bytes, offset: int, layout: Layout, *, version: float) -> tuple[float, int, int, int]:
    """Read fps, frames and people, and check that the rest of the data is exactly that many frames."""
    sizes = _BODY_V0_1 if version == 0.1 else _BODY_V0_2
    start = offset + sizes.size
    if start > len(data):
        raise PoseTruncatedError(f"the body's sizes need {sizes.size} bytes, {len(data) - offset} are left")
    fps, frames, people = sizes.unpack_from(data, offset)
    if people == 0:
        raise PoseEmptyError("0 people; at least 1 is needed")
    left = len(data) - start
    frame_bytes = people * layout.points * (layout.dims + 1) * _FLOAT_BYTES
    if version == 0.1 and frames < left // frame_bytes:
        # Version 0.1 counts in 16 bits and overflows on long clips, so pose-format infers frames from what is left. The
        # stored number still has to be the inferred one modulo 65536, or frames were cut off or appended.
        frames += (left // frame_bytes - frames) // 65_536 * 65_536
    if frames == 0 and left == 0:
        raise PoseEmptyError("0 frames; at least 1 is needed")
    expected = frames * frame_bytes
    promise = f"{frames} frames of {people} × {layout.points} points take {expected} bytes, {left} are left"
    if left < expected:
        raise PoseTruncatedError(promise)
    if left > expected:
        raise PoseTrailingError(promise)
    if not (math.isfinite(fps) and fps > 0):
        raise PoseContentError(f"{fps} frames per second; a positive number is needed")
    return fps, frames, people, start


def _check_numbers(values: npt.NDArray[np.float32], confidence: npt.NDArray[np.float32]) -> None:
    """Refuse what is not a number, and clear in place what hides under confidence 0."""
    finite = np.isfinite(confidence)
    if not finite.all():
        raise PoseContentError(f"the confidence of {_place(~finite)} is not finite")
    if not np.isfinite(values).all():
        broken = ~np.isfinite(values).all(axis=-1)
        seen_and_broken = broken & (confidence != 0)
        if seen_and_broken.any():
            raise PoseContentError(f"a coordinate of {_place(seen_and_broken)} is not finite")
        values[~np.isfinite(values)] = 0


def _place(where: npt.NDArray[np.bool_]) -> str:
    frame, person, point = np.unravel_index(int(where.argmax()), where.shape)
    return f"point {point}, person {person}, frame {frame}"
