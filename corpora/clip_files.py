"""From the file of one clip to its pose or its features."""

from __future__ import annotations

import math
import mmap
import os
import struct
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError

import numpy as np
from pose_format import Pose

from corpora.arrays import Float32Array, FloatArray
from corpora.errors import (
    ClipOutOfReachError,
    ClipSpanError,
    ClipUnreadableError,
    FeaturesUnavailableError,
    VideoNotEstimatedError,
)
from corpora.examples import Example
from corpora.feature_kinds import ARRAY_KINDS, ArrayKind
from corpora.landmark_arrays import (
    KAGGLE_POINTS,
    SEM_LEX_POINTS,
    make_pose,
    read_kaggle,
)
from corpora.readers.media import is_pose, is_video
from poses import FEATURE_KINDS, FeatureOptions, PoseError, ReadLimits, extract, read
from poses.headers import read_header
from poses.reading import unpack_pose
from processes.compression import find_packing
from processes.file_kinds import recognize
from processes.os_errors import describe_reason

# A data set may be larger than a request: some recordings are 40 minutes long and take 1 GB.
_LIMITS = ReadLimits(max_bytes=4 * 1024**3, max_frames=1_000_000)
_BODY_V0_1 = struct.Struct("<HHH")  # fps, frames modulo 65536, people
_BODY_V0_2 = struct.Struct("<fIH")  # fps, frames, people
_FLOAT_BYTES = 4
_HEAD_BYTES = 64 * 1024
_ARRAY_START = b"\x93NUMPY"
# What NumPy raises for headers that are damaged, beside its ValueErrors.
_ARRAY_DAMAGE = (ValueError, EOFError, OverflowError, TypeError, RecursionError, SyntaxError, TokenError)


def read_features(example: Example, kind: str, options: FeatureOptions) -> Float32Array:
    """Compute the features of an example's clip.

    Args:
        example: its file is read, between its start and end.
        kind: one of poses.FEATURE_KINDS or ARRAY_KINDS.
        options: changes to the pose before features are computed. Kinds that are not made of poses allow none.
    Returns:
        float32 (frames, dim), C-contiguous and finite.
    Raises:
        ClipError: the file cannot give the features; the message names the file. No other exception is raised,
            whatever the file contains.
    """
    if kind in ARRAY_KINDS:
        if options.flip != "never" or options.anonymize or options.trim != "none":
            raise FeaturesUnavailableError(
                f"{kind} features are not made of poses, so they cannot be flipped, anonymized or trimmed"
            )
        return _read_array_features(example, ARRAY_KINDS[kind])
    if kind not in FEATURE_KINDS:
        known = ", ".join((*FEATURE_KINDS, *ARRAY_KINDS))
        raise FeaturesUnavailableError(f"there is no kind of features {kind!r}; use one of {known}")
    pose = read_pose(example)
    if options.flip == "authors" and example.path.suffix in (".parquet", ".npy"):
        # The authors' readers of bare arrays give every point the confidence 1, so their rule sees every point.
        options = replace(options, flip="auto")
    try:
        return extract(pose, kind, options)
    except PoseError as error:
        raise ClipUnreadableError(f"{example.path}: {error}") from None


def read_pose(example: Example) -> Pose:
    """Read the pose of an example between its start and end, in any of the published forms.

    Returns:
        A pose of at least one frame.
    Raises:
        ClipError: the file holds no pose. No other exception is raised, whatever the file contains.
    """
    path = example.path
    if is_pose(path):
        return _read_pose_file(example)
    if path.suffix == ".parquet":
        return make_pose(_cut(read_kaggle(path), example))
    if path.suffix == ".npy":
        landmarks = _load_array(path)
        if landmarks.ndim != 3 or landmarks.shape[1:] not in ((SEM_LEX_POINTS, 3), (KAGGLE_POINTS, 3)):
            raise FeaturesUnavailableError(f"{path}: an array of shape {landmarks.shape} holds no landmarks of a pose")
        return make_pose(_cut(landmarks, example))
    if is_video(path) or path.is_dir():
        raise VideoNotEstimatedError(
            f"{path} is a video: estimate its pose with `python -m video estimate` and put the .pose file beside it"
        )
    raise ClipUnreadableError(f"{path}: the file is neither .pose (.pose.gz, .pose.zst) nor .npy nor .parquet")


def _read_array_features(example: Example, kind: ArrayKind) -> Float32Array:
    path = example.path
    if kind.points is not None:
        if path.suffix != ".parquet":
            raise FeaturesUnavailableError(f"{path}: {kind.name} features come from Kaggle's parquet")
        landmarks = _cut(read_kaggle(path), example)[:, list(kind.points)]
        # An infinite number would become the largest one, which a model could not tell from a point far away.
        return np.nan_to_num(landmarks, copy=False, posinf=0.0, neginf=0.0).reshape(len(landmarks), kind.dim)
    if path.suffix != ".npy":
        raise FeaturesUnavailableError(f"{path}: {kind.name} features are read from .npy files")
    if example.start_s is not None or example.end_s is not None:
        raise ClipSpanError(
            f"{path}: the item is from {example.start_s} to {example.end_s} s, but {kind.name} features have no frame "
            "rate; cut the file beforehand and leave start and end empty"
        )
    stored = _load_array(path)
    if stored.ndim != 2 or stored.shape[1] != kind.stored_dim or not len(stored):
        raise ClipUnreadableError(f"{path}: the array has shape {stored.shape}, not (frames, {kind.stored_dim})")
    features = stored.astype(np.float32)
    if kind.stored_dim != kind.dim:
        features = features.reshape(len(features), kind.dim, -1).mean(axis=2)  # frames, dim, neighbours
    if not np.isfinite(features).all():
        raise ClipUnreadableError(f"{path}: some features are not finite")
    return features


def open_array(path: Path, *, mapped: bool = False) -> FloatArray:
    """Open a .npy file of floating-point numbers.

    Args:
        path: of the file.
        mapped: map the file into memory, for callers that need no more than the shape.
    Raises:
        ClipUnreadableError: the file holds something else, or is damaged.
        ClipOutOfReachError: the system did not deliver the file, or has no memory for what its header claims.
    """
    try:
        with path.open("rb") as file:
            is_array = file.read(len(_ARRAY_START)) == _ARRAY_START
        loaded = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False) if is_array else None
    except (OSError, MemoryError) as error:
        raise ClipOutOfReachError(f"{path}: {describe_reason(error)}") from None
    except _ARRAY_DAMAGE as error:
        raise ClipUnreadableError(f"{path}: the file holds no array of numbers: {error}") from error
    if loaded is None:
        raise ClipUnreadableError(f"{path}: the file holds no array of numbers{_describe_other(path)}")
    if loaded.dtype.kind != "f" or not loaded.ndim:
        raise ClipUnreadableError(f"{path}: the file holds no array of floating-point numbers")
    opened: FloatArray = loaded
    return opened


def _load_array(path: Path) -> Float32Array:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused or not seen
        return open_array(path).astype(np.float32)


def _describe_other(path: Path) -> str:
    """Say what a file looks like that is not what its suffix promises; "" where that says nothing."""
    with path.open("rb") as file:
        kind = recognize(file.read(_HEAD_BYTES))
    return "" if kind.family in ("array", "unknown") else f"; it looks like {kind.name}. {kind.advice}".rstrip(". ")


def _cut(landmarks: Float32Array, example: Example) -> Float32Array:
    first, last = _find_frames(example, len(landmarks), fps=30.0)
    return landmarks[first:last]


def _read_pose_file(example: Example) -> Pose:
    try:
        if example.start_s is None and example.end_s is None:
            return read(example.path.read_bytes(), limits=_LIMITS)
        with example.path.open("rb") as file:
            if find_packing(file.read(8)) is not None or not os.fstat(file.fileno()).st_size:  # cannot be mapped
                whole = unpack_pose(example.path.read_bytes(), limits=_LIMITS)
                return read(_cut_file(whole, example), limits=_LIMITS)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                return read(_cut_file(mapped, example), limits=_LIMITS)
    except OSError as error:
        raise ClipOutOfReachError(f"{example.path}: {describe_reason(error)}") from None
    except PoseError as error:
        raise ClipUnreadableError(f"{example.path}: {error}") from None


def _cut_file(mapped: mmap.mmap | bytes, example: Example) -> bytes:
    """Build the .pose file of an example's span.

    Only the span is read, because a recording may take a gigabyte. A file whose sizes disagree with its length is
    passed whole to `poses.read`, which reports what is wrong with it.

    Raises:
        ClipSpanError: the file has no frame rate, or no frame lies in the span.
        PoseError: the file has no readable header.
    """
    head = mapped[: _LIMITS.max_header_bytes]
    header, layout, offset = read_header(head, limits=_LIMITS)
    sizes = _BODY_V0_1 if round(header.version, 3) == 0.1 else _BODY_V0_2
    start = offset + sizes.size
    if start > len(mapped):
        return mapped[:]
    fps, frames, people = sizes.unpack_from(mapped, offset)
    row_bytes = people * layout.points * _FLOAT_BYTES
    frame_bytes = row_bytes * (layout.dims + 1)
    if sizes is _BODY_V0_1 and frame_bytes:
        frames = (len(mapped) - start) // frame_bytes
    if not frames or len(mapped) - start != frames * frame_bytes:
        return mapped[:]
    if not (math.isfinite(fps) and fps > 0):
        raise ClipSpanError(
            f"{example.path}: {fps:g} frames a second are no rate, so the span from {example.start_s or 0:g} to "
            f"{example.end_s or math.inf:g} s cannot be found; cut the file beforehand and leave start and end empty"
        )
    first, last = _find_frames(example, frames, fps=fps)
    value_bytes = row_bytes * layout.dims
    confidences = start + frames * value_bytes
    values = mapped[start + first * value_bytes : start + last * value_bytes]
    confidence = mapped[confidences + first * row_bytes : confidences + last * row_bytes]
    count = last - first if sizes is _BODY_V0_2 else (last - first) % 65_536
    return head[:offset] + sizes.pack(fps, count, people) + values + confidence


def _find_frames(example: Example, frames: int, *, fps: float) -> tuple[int, int]:
    """Find the span's first frame and the frame after its last, rounded outwards as pose-format does.

    Raises:
        ClipSpanError: no frame lies in the span.
    """
    # Seconds that were computed from frame numbers are slightly off: 14 / 25 * 25 is above 14 and would add a frame.
    first = math.floor(round((example.start_s or 0.0) * fps, 6))
    last = frames if example.end_s is None else min(frames, math.ceil(round(example.end_s * fps, 6)))
    if not 0 <= first < last:
        raise ClipSpanError(
            f"{example.path}: the span from {example.start_s or 0:g} to {example.end_s or math.inf:g} s lies outside "
            f"the file's {frames} frames at {fps:g} frames a second"
        )
    return first, last
