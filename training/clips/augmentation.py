"""The authors' augmentation of clips: mirroring, another camera, another pace, and noise.

It changes features. The authors change poses, with the same result, because theirs are normalized already. Clips can
therefore come from the cache. A missing point is one whose x, y and z are 0, as estimators store it. The missing points
of an anonymized pose have other numbers, so they are changed with the pose. Three small differences are known:

- Pace: the authors round the new frame rate, so at 25 fps their ratio is off by up to 0.02. Features have no rate.
- Noise: theirs is also on the legs, which are blank.
- Mirroring: the authors measure the shoulders again afterwards, which changes only rounding.

Source: PoseProcessor.__call__, J22Melody/fairseq@a8199440, dsprocessor_sign.py; pose_format's augment2d and
interpolate.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from numpy.random import Generator

from corpora.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from poses import FEATURE_KINDS
from poses.landmarks import mirror_point
from training.errors import DataError
from training.sections.clips import ClipAugmentation


def check_augmentation(strength: ClipAugmentation, kind: str) -> None:
    """Refuse augmentation that a kind of features cannot have.

    Raises:
        DataError: the features are not made of poses, or they lack the other side of some points.
    """
    if strength.is_active and kind not in FEATURE_KINDS:
        raise DataError(f"{kind} features are not made of poses: data.augmentation must be 0")
    if strength.flip and _find_mirror_places(kind) is None:
        raise DataError(f"{kind} features have no mirror image: data.augmentation.flip must be 0")


def augment_clip(
    features: Float32Array, kind: str, *, strength: ClipAugmentation, rng: Generator, max_frames: int
) -> Float32Array:
    """Change a clip at random, in the authors' order.

    Args:
        features: float32 (frames, dim); not changed.
        kind: of the features; `check_augmentation` has accepted it.
        strength: of each change.
        rng: the source of all random numbers.
        max_frames: a clip that would reach this length keeps its pace.
    Returns:
        float32 (new frames, dim). A point that was missing in all frames is still missing.
    """
    points = features.reshape(len(features), -1, 3)  # frames, points, 3
    if strength.flip and rng.random() < strength.flip:
        points = mirror_points(points, kind)
    if strength.rotation or strength.shear or strength.scale:
        points = points @ draw_camera(strength, rng)
    if strength.temporal and len(points) > 1:
        ratio = rng.normal(1.0, strength.temporal)
        if len(points) * ratio < max_frames:
            points = change_pace(points, max(2, round(len(points) * ratio)))
    if strength.noise:
        points = points + draw_noise(points, strength.noise, rng)
    return np.ascontiguousarray(points, dtype=np.float32).reshape(len(points), -1)


def draw_noise(points: Float32Array, deviation: float, rng: Generator) -> Float32Array:
    """Draw noise for all points that are not missing.

    Args:
        points: float32 (frames, points, 3).
        deviation: standard deviation of each coordinate.
        rng: the source of all random numbers.
    Returns:
        float32 (frames, points, 3).
    """
    # PyTorch draws many normal numbers at once, in a third of NumPy's time: 0.16 ms for a clip of 73 frames.
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    noise: Float32Array = torch.empty(points.shape).normal_(0.0, deviation, generator=generator).numpy()
    noise.reshape(-1)[:] *= np.repeat(find_seen_points(points), 3)
    return noise


def find_seen_points(points: Float32Array) -> BoolArray:
    """Find the points that are not missing.

    Args:
        points: float32 (frames, points, 3).
    Returns:
        bool (frames, points, 1).
    """
    # Coordinate by coordinate, because `any` over an axis of three takes ten times as long.
    present = points != 0
    seen: BoolArray = present[..., 0] | present[..., 1] | present[..., 2]
    return seen[..., None]


def mirror_points(points: Float32Array, kind: str) -> Float32Array:
    """Mirror a clip: both sides change places, and x changes its sign. The result is that of poses.mirror's pose.

    Args:
        points: float32 (frames, points, 3), measured from the middle of the shoulders.
        kind: of the features.
    Returns:
        float32 (frames, points, 3).
    Raises:
        DataError: the kind has no mirror image.
    """
    places = _find_mirror_places(kind)
    if places is None:
        raise DataError(f"{kind} features have no mirror image")
    swapped = np.take(points, places, axis=1)
    swapped[..., 0] *= -1
    return swapped


@lru_cache(maxsize=8)
def _find_mirror_places(kind: str) -> npt.NDArray[np.intp] | None:
    feature_kind = FEATURE_KINDS[kind]
    counterparts = [mirror_point(point) for point in feature_kind.points]
    if not feature_kind.mirrors or not set(counterparts) <= set(feature_kind.points):
        return None
    return np.array([feature_kind.points.index(point) for point in counterparts], dtype=np.intp)


def draw_camera(strength: ClipAugmentation, rng: Generator) -> Float32Array:
    """Draw the effect of another camera on a clip.

    Returns:
        float32 (3, 3), to be multiplied from the right.
    Source: pose_format.PoseBody.augment2d, in its order: shear, rotation, scale.
    """
    shear, angle, scale = rng.normal(0.0, (strength.shear, strength.rotation, strength.scale))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = np.array([[1, shear], [0, 1]]) @ turn @ np.diag([1, 1 + scale])
    return matrix.astype(np.float32)


def change_pace(points: Float32Array, frames: int) -> Float32Array:
    """Stretch a clip to another number of frames, linearly between the frames in which each point is seen.

    A point is missing before it is first seen and after it is last seen. Gaps in between are filled, as in pose-format.

    Args:
        points: float32 (old frames, points, 3), at least two frames.
        frames: at least two.
    Returns:
        float32 (frames, points, 3).
    Source: pose_format.numpy.NumPyPoseBody.interpolate with kind="linear".
    """
    # In whole numbers, because a new frame slightly before the frame in which a point is first seen would not see it.
    before, remainder = np.divmod(np.arange(frames) * (len(points) - 1), frames - 1)
    shares = remainder / (frames - 1)
    stretched = _blend_frames(points, before, shares)
    seen = find_seen_points(points)[..., 0]  # old frames, points
    sometimes = np.flatnonzero(seen.any(axis=0) & ~seen.all(axis=0))
    if len(sometimes):
        some, seen = np.take(points, sometimes, axis=1), np.take(seen, sometimes, axis=1)
        stretched[:, sometimes] = _interpolate_seen(some, seen, before, shares)
    return stretched


def _blend_frames(points: Float32Array, before: Int64Array, shares: Float64Array) -> Float32Array:
    # New frames that lie a share of a frame after an old one, (new frames, points, 3). In place where that is possible,
    # because a clip fits into a core's cache and three clips may not.
    flat = points.reshape(len(points), -1)
    share = shares.astype(np.float32)[:, None]
    blended = flat[before]
    blended *= 1 - share
    later = flat[before + (shares > 0)]
    later *= share
    blended += later
    return blended.reshape(-1, *points.shape[1:])


def _interpolate_seen(points: Float32Array, seen: BoolArray, before: Int64Array, shares: Float64Array) -> Float32Array:
    # Points (old frames, points, 3) that are seen in some frames, between the nearest frames that show them. New frames
    # lie a share of a frame after an old one.
    patterns, pattern_of = _find_patterns(seen)
    old_frames = np.arange(len(points))[:, None]
    earlier = np.maximum.accumulate(np.where(patterns, old_frames, -1))  # old frames, patterns
    later = np.minimum.accumulate(np.where(patterns, old_frames, len(points))[::-1])[::-1]
    left = earlier[before]  # frames, patterns
    right = later[before + (shares > 0)]
    is_between = (left >= 0) & (right < len(points))
    left, right = np.where(is_between, left, 0), np.where(is_between, right, 0)
    weight = (before[:, None] + shares[:, None] - left) / np.maximum(right - left, 1)
    # Three times each, because multiplying triples by one number each takes five times as long.
    columns = np.repeat(pattern_of, 3)
    values = _take_points(points, left, pattern_of) * np.take((1 - weight) * is_between, columns, axis=1)
    values += _take_points(points, right, pattern_of) * np.take(weight * is_between, columns, axis=1)
    interpolated: Float32Array = values.astype(np.float32).reshape(len(before), -1, 3)
    return interpolated


def _find_patterns(seen: BoolArray) -> tuple[BoolArray, Int64Array]:
    # The different columns of seen, (frames, points), as (frames, patterns); and the pattern of each point. All points
    # of a hand are seen in the same frames, so there are few.
    columns = np.ascontiguousarray(seen.T)
    numbers: dict[bytes, int] = {}
    pattern_of = np.array([numbers.setdefault(column.tobytes(), len(numbers)) for column in columns])
    patterns = np.array([np.frombuffer(pattern, dtype=np.bool_) for pattern in numbers]).T
    return patterns, pattern_of


def _take_points(points: Float32Array, frames: Int64Array, pattern_of: Int64Array) -> Float32Array:
    # Points (old frames, points, 3), each at the frames of its pattern, (frames, patterns): (frames, points · 3). With
    # one index, because two take four times as long.
    count = points.shape[1]
    places = np.take(frames, pattern_of, axis=1) * count + np.arange(count)
    taken: Float32Array = np.take(points.reshape(-1, 3), places, axis=0).reshape(len(frames), -1)
    return taken
