"""The authors' changes to poses in training: mirror, other camera, other pace, noise.

They act on features, as the authors' act on poses that are normalized already, so clips come from the cache. A missing
point is one whose x, y and z are 0, which is what estimators store; so a pose that was anonymized, whose missing points
keep other numbers, is changed with them. Three small differences are known:

- Another pace: the authors round the new frame rate, so at 25 fps their ratio is off by up to 0.02; features have none.
- Noise: theirs is also on the legs, which are blank.
- Mirroring: theirs then measures the shoulders again, which changes nothing but rounding.

Source: PoseProcessor.__call__, J22Melody/fairseq@a8199440, dsprocessor_sign.py; pose_format's augment2d and
interpolate.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field

from poses import FEATURE_KINDS
from poses.landmarks import mirrored

Floats = npt.NDArray[np.float32]


class ClipAugmentation(BaseModel):
    """Strengths; all zero changes nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: float = Field(0.0, ge=0, le=1, description="share of clips that are mirrored; the authors' 0.2")
    rotation: float = Field(0.0, ge=0, description="standard deviation, radians; pose-format's augment2d has 0.2")
    shear: float = Field(0.0, ge=0, description="standard deviation, x by y; 0.2")
    scale: float = Field(0.0, ge=0, description="standard deviation, of y; 0.2")
    temporal: float = Field(0.0, ge=0, description="standard deviation of new over old number of frames; 0.2")
    noise: float = Field(0.0, ge=0, description="standard deviation, shoulder widths; 0.001")

    @property
    def changes(self) -> bool:
        """Whether anything is changed at all."""
        return any(self.model_dump().values())

    def check(self, kind: str) -> None:
        """Refuse what a kind of features cannot show.

        Raises:
            ValueError: features that are no pose's, or that lack the other side of what they have.
        """
        if self.changes and kind not in FEATURE_KINDS:
            raise ValueError(f"{kind} features are no pose's: data.augmentation has to be 0")
        if self.flip and _mirror_places(kind) is None:
            raise ValueError(f"{kind} features have no mirror image: data.augmentation.flip has to be 0")


def augment_clip(
    features: Floats, kind: str, strength: ClipAugmentation, chance: Generator, *, max_frames: int
) -> Floats:
    """Change a clip at random, in the authors' order.

    Args:
        features: float32 (frames, dim); not changed.
        kind: of the features; `strength.check(kind)` has passed.
        strength: of everything.
        chance: where all randomness comes from.
        max_frames: clips that would reach it keep their pace.
    Returns:
        float32 (other frames, dim); points that were missing throughout still are.
    """
    points = features.reshape(len(features), -1, 3)  # frames, points, 3
    if strength.flip and chance.random() < strength.flip:
        points = mirror_points(points, kind)
    if strength.rotation or strength.shear or strength.scale:
        points = points @ draw_camera(strength, chance)
    if strength.temporal and len(points) > 1:
        ratio = chance.normal(1.0, strength.temporal)
        if len(points) * ratio < max_frames:
            points = change_pace(points, max(2, round(len(points) * ratio)))
    if strength.noise:
        points = points + chance.normal(0.0, strength.noise, points.shape).astype(np.float32) * seen_points(points)
    return np.ascontiguousarray(points, dtype=np.float32).reshape(len(points), -1)


def seen_points(points: Floats) -> npt.NDArray[np.bool_]:
    """Tell which points are there; bool (frames, points, 1)."""
    seen: npt.NDArray[np.bool_] = points.any(axis=-1, keepdims=True)
    return seen


def mirror_points(points: Floats, kind: str) -> Floats:
    """Mirror a clip: both sides change places, x changes its sign; the features of poses.mirror's pose.

    Args:
        points: float32 (frames, points, 3), measured from between the shoulders.
        kind: of the features.
    Raises:
        ValueError: the kind has no mirror image.
    """
    places = _mirror_places(kind)
    if places is None:
        raise ValueError(f"{kind} features have no mirror image")
    swapped: Floats = points[:, places] * np.array([-1, 1, 1], dtype=np.float32)
    return swapped


@lru_cache(maxsize=8)
def _mirror_places(kind: str) -> npt.NDArray[np.intp] | None:
    feature_kind = FEATURE_KINDS[kind]
    counterparts = [mirrored(point) for point in feature_kind.points]
    if not feature_kind.mirrors or not set(counterparts) <= set(feature_kind.points):
        return None
    return np.array([feature_kind.points.index(point) for point in counterparts], dtype=np.intp)


def draw_camera(strength: ClipAugmentation, chance: Generator) -> Floats:
    """Draw what another camera does to a clip: float32 (3, 3), to be multiplied from the right.

    Source: pose_format.PoseBody.augment2d, in its order: shear, rotation, scale.
    """
    shear, angle, scale = chance.normal(0.0, (strength.shear, strength.rotation, strength.scale))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = np.array([[1, shear], [0, 1]]) @ turn @ np.diag([1, 1 + scale])
    return matrix.astype(np.float32)


def change_pace(points: Floats, frames: int) -> Floats:
    """Spread a clip over another number of frames, linearly between the frames in which a point is seen.

    Before a point is first seen and after it is last seen it is missing; gaps between are filled, as pose-format does.

    Args:
        points: float32 (old frames, points, 3), at least two frames.
        frames: at least two.
    Returns:
        float32 (frames, points, 3).
    Source: pose_format.numpy.NumPyPoseBody.interpolate with kind="linear".
    """
    # Whole numbers, because a moment a hair beside the frame in which a point is seen first would not see it.
    before, rest = np.divmod(np.arange(frames) * (len(points) - 1), frames - 1)
    after = before + (rest > 0)
    seen = seen_points(points)[..., 0]  # old frames, points
    share = (rest / (frames - 1)).astype(np.float32)[:, None, None]
    spread: Floats = points[before] * (1 - share) + points[after] * share
    sometimes = np.flatnonzero(seen.any(axis=0) & ~seen.all(axis=0))
    if len(sometimes):
        spread[:, sometimes] = _between_sightings(points[:, sometimes], seen[:, sometimes], before, rest / (frames - 1))
    return spread


def _between_sightings(
    points: Floats, seen: npt.NDArray[np.bool_], before: npt.NDArray[np.int64], share: npt.NDArray[np.float64]
) -> Floats:
    # Points (old frames, points, 3) that are seen in some frames; the nearest sightings on either side count. Moments
    # lie a share of a frame behind an old one.
    old_frames = np.arange(len(points))[:, None]
    earlier = np.maximum.accumulate(np.where(seen, old_frames, -1))  # old frames, points
    later = np.minimum.accumulate(np.where(seen, old_frames, len(points))[::-1])[::-1]
    left = earlier[before]  # frames, points
    right = later[before + (share > 0)]
    there = (left >= 0) & (right < len(points))
    left, right = np.where(there, left, 0), np.where(there, right, 0)
    share = (before[:, None] + share[:, None] - left) / np.maximum(right - left, 1) * there
    columns = np.arange(points.shape[1])
    values = points[left, columns] * (1 - share[..., None]) + points[right, columns] * share[..., None]
    return np.where(there[..., None], values, 0).astype(np.float32)
