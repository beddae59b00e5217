"""Bytes of a .pose file in, packed or not; a checked pose out."""

from __future__ import annotations

import struct
from mmap import mmap

import numpy as np
import numpy.typing as npt

from poses.errors import (
    PoseEmptyError,
    PoseFormatError,
    PoseTooLargeError,
    PoseTooLongError,
    PoseTrailingError,
    PoseTruncatedError,
)
from poses.features import check_layout
from poses.file_pose import FileBody, FilePose
from poses.headers import Layout, ReadLimits, read_header
from processes.compression import PackedDamagedError, PackedTooLargeError, PackedTruncatedError, find_packing, unpack

_BODY_V0_1 = struct.Struct("<HHH")  # fps, frames modulo 65536, people
_BODY_V0_2 = struct.Struct("<fIH")  # fps, frames, people
_FLOAT_BYTES = 4
_DEFAULT_LIMITS = ReadLimits()


def read(data: bytes, *, limits: ReadLimits = _DEFAULT_LIMITS, kind: str | None = None) -> FilePose:
    """Read a .pose file of version 0.1 or 0.2; packed with gzip or zstd, it is unpacked first.

    What the header claims is compared with the length of the data before anything is allocated. A point is not seen
    where a coordinate or the confidence is NaN or infinite, whatever the confidence says: it gets confidence 0
    and the value 0. Frames per second are not checked, because features do not depend on them.

    Args:
        data: the whole file.
        limits: sizes past which a file is refused, before and after unpacking.
        kind: the features that will be computed, a name in poses.FEATURE_KINDS. A layout that lacks their points is
            then refused before anything else is said about the clip.
    Returns:
        A pose with a FileBody: float32 data (frames, people, points, dims), masked where confidence is 0, and
        float32 confidence (frames, people, points). All numbers but frames per second are finite. Header and body are
        the caller's own; the header's components are shared between poses of one layout and must not be changed.
    Raises:
        PoseError: and nothing else, whatever the bytes are.
    Source: pose_format.Pose.read, which this equals on every file that both accept.
    """
    if len(data) > limits.max_bytes:
        raise PoseTooLargeError(f"{len(data)} bytes; at most {limits.max_bytes} are read")
    data = unpack_pose(data, limits=limits)
    header, layout, offset = read_header(data, limits=limits)
    if kind is not None:
        check_layout(header, kind)
    fps, frames, people, offset = read_sizes(data, offset, layout, version=round(header.version, 3))
    if frames > limits.max_frames:
        raise PoseTooLongError(f"{frames} frames; at most {limits.max_frames} are read")

    values_count = frames * people * layout.points * layout.dims
    values = np.frombuffer(data, "<f4", values_count, offset)
    values = values.reshape(frames, people, layout.points, layout.dims).astype(np.float32)
    confidence = np.frombuffer(data, "<f4", frames * people * layout.points, offset + values_count * _FLOAT_BYTES)
    confidence = confidence.reshape(frames, people, layout.points).astype(np.float32)
    not_finite = clear_not_finite(values, confidence)
    return FilePose(header, FileBody(fps, values, confidence), not_finite=not_finite)


def unpack_pose(data: bytes, *, limits: ReadLimits) -> bytes:
    """Unpack a .pose.gz or .pose.zst; other bytes are returned as they are.

    Raises:
        PoseFormatError: the packed bytes are damaged.
        PoseTruncatedError: they end too early.
        PoseTooLargeError: they unpack to more than the limits allow.
    """
    packing = find_packing(data)
    if packing is None:
        return data
    try:
        return unpack(data, packing, max_bytes=limits.max_bytes)
    except PackedTruncatedError as error:
        raise PoseTruncatedError(f"{error}; copy or download the file again") from error
    except PackedDamagedError as error:
        raise PoseFormatError(f"{error}; pack the .pose file anew, or send it as it is") from error
    except PackedTooLargeError as error:
        raise PoseTooLargeError(f"{error}, which is the limit") from error


def read_sizes(data: bytes | mmap, offset: int, layout: Layout, *, version: float) -> tuple[float, int, int, int]:
    """Read fps, frames and people, and check that the rest of the data is exactly that many frames.

    Args:
        offset: where the body starts.
        version: of the format, 0.1 or 0.2.
    Returns:
        fps, frames, people, and the offset of the first value.
    Raises:
        PoseTruncatedError, PoseTrailingError: the data has fewer or more bytes than that.
        PoseEmptyError: there are no frames or no people.
    """
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
    return fps, frames, people, start


def clear_not_finite(
    values: npt.NDArray[np.float32], confidence: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_] | None:
    """Make points that are not finite unseen ones, in place.

    Args:
        values: float32 (frames, people, points, dims).
        confidence: float32 (frames, people, points).
    Returns:
        Which points were called seen, bool (frames, people, points); None if there is no such point.
    """
    if np.isfinite(values).all() and np.isfinite(confidence).all():
        return None
    finite = np.isfinite(values)
    broken = ~(finite.all(axis=-1) & np.isfinite(confidence))  # frames, people, points
    called_seen: npt.NDArray[np.bool_] = broken & (confidence != 0)
    # A point that was not seen anyway keeps what is stored beside the numbers that are no numbers, as the authors do.
    values[~finite] = 0
    values[called_seen] = 0
    confidence[broken] = 0
    return called_seen
