"""One clip's file in, its pose or its features out."""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pose_format import Pose

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
    read_kaggle,
    to_pose,
)
from corpora.readers.media import VIDEO_SUFFIXES
from poses import FEATURE_KINDS, FeatureOptions, PoseError, ReadLimits, extract, read
from poses.headers import read_header

Features = npt.NDArray[np.float32]

# A data set is trusted with more than a request is: whole recordings of 40 minutes exist, and take 1 GB.
_LIMITS = ReadLimits(max_bytes=4 * 1024**3, max_frames=1_000_000)
_BODY_V0_1 = struct.Struct("<HHH")  # fps, frames modulo 65536, people
_BODY_V0_2 = struct.Struct("<fIH")  # fps, frames, people
_FLOAT_BYTES = 4


def read_features(example: Example, kind: str, options: FeatureOptions) -> Features:
    """Compute the features of an example's clip.

    Args:
        example: what to read; only its span is.
        kind: one of poses.FEATURE_KINDS or ARRAY_KINDS.
        options: what to do to a pose first; features that are no pose's cannot be flipped or anonymized.
    Returns:
        float32 (frames, dim), C-contiguous and finite.
    Raises:
        ClipError: and nothing else, whatever the file is; the message names it.
    """
    if kind in ARRAY_KINDS:
        if options.flip != "never" or options.anonymize:
            raise FeaturesUnavailableError(f"{kind} features are no pose's: they cannot be flipped or anonymized")
        return _array_features(example, ARRAY_KINDS[kind])
    if kind not in FEATURE_KINDS:
        raise FeaturesUnavailableError(f"no features named {kind!r}; there are {', '.join(FEATURE_KINDS)}")
    pose = read_pose(example)
    try:
        return extract(pose, kind, options)
    except PoseError as error:
        raise ClipUnreadableError(f"{example.path}: {error}") from None


def read_pose(example: Example) -> Pose:
    """Read the pose of an example's span, whichever form it is published in.

    Raises:
        ClipError: and nothing else, whatever the file is.
    """
    path = example.path
    if path.suffix == ".pose":
        return _read_pose_file(example)
    if path.suffix == ".parquet":
        return to_pose(_cut(read_kaggle(path), example))
    if path.suffix == ".npy":
        landmarks = _load_array(path)
        if landmarks.ndim != 3 or landmarks.shape[1:] not in ((SEM_LEX_POINTS, 3), (KAGGLE_POINTS, 3)):
            raise FeaturesUnavailableError(f"{path}: an array {landmarks.shape} holds no landmarks of a pose")
        return to_pose(_cut(landmarks, example))
    if path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir():
        raise VideoNotEstimatedError(
            f"{path} is a video: estimate its pose first, with `python -m video estimate`, and put it beside as .pose"
        )
    raise ClipUnreadableError(f"{path}: neither .pose nor .npy nor .parquet")


def _array_features(example: Example, kind: ArrayKind) -> Features:
    path = example.path
    if kind.points is not None:
        if path.suffix != ".parquet":
            raise FeaturesUnavailableError(f"{path}: {kind.name} features come from Kaggle's parquet")
        landmarks = _cut(read_kaggle(path), example)[:, list(kind.points)]
        return np.nan_to_num(landmarks, copy=False).reshape(len(landmarks), kind.dim)
    if path.suffix != ".npy":
        raise FeaturesUnavailableError(f"{path}: {kind.name} features are read from .npy files")
    if example.start_s is not None or example.end_s is not None:
        raise ClipSpanError(f"{path}: features have no frame rate to find {example.start_s} s with; cut them before")
    stored = _load_array(path)
    if stored.ndim != 2 or stored.shape[1] != kind.stored_dim or not len(stored):
        raise ClipUnreadableError(f"{path}: an array {stored.shape}; (frames, {kind.stored_dim}) is needed")
    features = stored.astype(np.float32)
    if kind.stored_dim != kind.dim:
        features = features.reshape(len(features), kind.dim, -1).mean(axis=2)  # frames, dim, neighbours
    if not np.isfinite(features).all():
        raise ClipUnreadableError(f"{path}: features that are not finite")
    return features


def _load_array(path: Path) -> npt.NDArray[np.float32]:
    try:
        loaded = np.load(path, allow_pickle=False)
    except OSError as error:
        raise ClipOutOfReachError(f"{path}: {error}") from None
    except (ValueError, EOFError) as error:
        raise ClipUnreadableError(f"{path}: no array of numbers: {error}") from None
    if not isinstance(loaded, np.ndarray) or loaded.dtype.kind != "f":
        raise ClipUnreadableError(f"{path}: no array of floating-point numbers")
    return loaded.astype(np.float32)


def _cut(landmarks: npt.NDArray[np.float32], example: Example) -> npt.NDArray[np.float32]:
    first, last = _frames(example, len(landmarks), fps=30.0)
    return landmarks[first:last]


def _read_pose_file(example: Example) -> Pose:
    try:
        if example.start_s is None and example.end_s is None:
            return read(example.path.read_bytes(), limits=_LIMITS)
        with example.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return read(_cut_file(mapped, example), limits=_LIMITS)
    except OSError as error:
        raise ClipOutOfReachError(f"{example.path}: {error}") from None
    except ValueError as error:  # mmap refuses an empty file
        raise ClipUnreadableError(f"{example.path}: {error}") from None
    except PoseError as error:
        raise ClipUnreadableError(f"{example.path}: {error}") from None


def _cut_file(mapped: mmap.mmap, example: Example) -> bytes:
    """Build the .pose file of a span, of which nothing but the span is read: recordings take up to a gigabyte.

    A file whose sizes disagree with its length is given whole to `poses.read`, which says what is wrong with it.
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
    if not frames or not fps > 0 or len(mapped) - start != frames * frame_bytes:
        return mapped[:]
    first, last = _frames(example, frames, fps=fps)
    value_bytes = row_bytes * layout.dims
    confidences = start + frames * value_bytes
    values = mapped[start + first * value_bytes : start + last * value_bytes]
    confidence = mapped[confidences + first * row_bytes : confidences + last * row_bytes]
    count = last - first if sizes is _BODY_V0_2 else (last - first) % 65_536
    return head[:offset] + sizes.pack(fps, count, people) + values + confidence


def _frames(example: Example, frames: int, *, fps: float) -> tuple[int, int]:
    """The span's first frame and the one after its last, rounded outwards as pose-format does.

    Raises:
        ClipSpanError: no frame lies in it.
    """
    # Seconds made of frame numbers come back a hair off: 14 / 25 * 25 is over 14, and would take a 15th frame in.
    first = math.floor(round((example.start_s or 0.0) * fps, 6))
    last = frames if example.end_s is None else min(frames, math.ceil(round(example.end_s * fps, 6)))
    if not 0 <= first < last:
        raise ClipSpanError(
            f"{example.path}: {example.start_s or 0:g} to {example.end_s or math.inf:g} s lie outside of "
            f"{frames} frames at {fps:g} a second"
        )
    return first, last
