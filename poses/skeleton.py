"""The lines of a signer's body and hands, without the face, as previews draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.pose_header import PoseHeader

from poses.errors import PoseLayoutError
from poses.points import choose_person

Part = Literal["body", "left", "right"]
# Points of the body by which a face can be told, and those below the hips, where nobody signs. Without regard to case,
# the names of MediaPipe, OpenPose and COCO.
_LEFT_OUT = ("eye", "ear", "mouth", "knee", "ankle", "heel", "foot", "toe")
# Of a preview's side, on each side.
_MARGIN = 0.05


@dataclass(frozen=True)
class Skeleton:
    """The lines of one person in some frames.

    Attributes:
        points: float32 (frames, points, 2), x and y in shares of a square, y downwards.
        seen: bool (frames, points).
        limbs: the two points of each line.
        parts: the part of each line.
        fps: frames per second, of these frames.
    """

    points: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]
    limbs: tuple[tuple[int, int], ...]
    parts: tuple[Part, ...]
    fps: float


@dataclass(frozen=True)
class Kept:
    """The points of a layout that a preview shows.

    Attributes:
        places: intp (points,), where they are in the pose.
        components: index of the component of each.
        limbs: pairs of indexes into `places`.
        parts: the part of each limb.
    """

    places: npt.NDArray[np.intp]
    components: tuple[int, ...]
    limbs: tuple[tuple[int, int], ...]
    parts: tuple[Part, ...]


def find_kept(header: PoseHeader) -> Kept:
    """Find the points of a layout that a preview shows.

    Raises:
        PoseLayoutError: the layout has no lines outside of the face.
    """
    places: list[int] = []
    components: list[int] = []
    limbs: list[tuple[int, int]] = []
    parts: list[Part] = []
    start = 0
    for number, component in enumerate(header.components):
        name = component.name.lower()
        if "face" not in name and "world" not in name:
            part: Part = "body" if "hand" not in name else ("left" if "left" in name else "right")
            kept = [
                index for index, point in enumerate(component.points) if not any(s in point.lower() for s in _LEFT_OUT)
            ]
            new = {index: len(places) + place for place, index in enumerate(kept)}
            pairs = sorted({(new[a], new[b]) for a, b in component.limbs if a in new and b in new})
            places += [start + index for index in kept]
            components += [number] * len(kept)
            limbs += pairs
            parts += [part] * len(pairs)
        start += len(component.points)
    if not limbs:
        raise PoseLayoutError("no lines of a body or of hands are in this layout, so it cannot be drawn")
    return Kept(np.array(places, dtype=np.intp), tuple(components), tuple(limbs), tuple(parts))


def choose_frames(frames: int, most: int) -> npt.NDArray[np.intp]:
    """Choose frames that are evenly spread over a clip, at most so many, intp (chosen,)."""
    count = min(frames, most)
    return ((np.arange(count) + 0.5) * frames / count).astype(np.intp)


def extract_skeleton(pose: Pose, person: int | None, *, most_frames: int) -> Skeleton:
    """Extract the lines of one person, scaled so that all frames fill a square.

    Args:
        person: number of the person; None: the only one.
        most_frames: frames of the skeleton; they are evenly spread over the clip.
    Raises:
        PoseLayoutError: the layout has no lines outside of the face, or no x and y.
        PersonError, PoseEmptyError: the person is not there.
    """
    row = choose_person(pose, person)
    kept = find_kept(pose.header)
    frames = choose_frames(len(pose.body.data), most_frames)
    values = np.asarray(pose.body.data)[frames][:, row, kept.places]  # frames, points, dims
    if values.shape[-1] < 2:
        raise PoseLayoutError("the points have no x and y, so they cannot be drawn")
    points = values[..., :2].astype(np.float32)
    seen = (pose.body.confidence[frames][:, row, kept.places] > 0) & np.isfinite(points).all(axis=-1)
    fps = float(pose.body.fps) * len(frames) / len(pose.body.data)
    return Skeleton(_fit(points, seen), seen, kept.limbs, kept.parts, fps)


def _fit(points: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Scale points (frames, points, 2) so that those that are seen fill a square, at their proportions."""
    if not seen.any():
        return np.zeros_like(points)
    low, high = points[seen].min(axis=0), points[seen].max(axis=0)
    scale = (1 - 2 * _MARGIN) / max(float((high - low).max()), 1e-6)
    fitted: npt.NDArray[np.float32] = ((points - (low + high) / 2) * scale + 0.5).astype(np.float32)
    return np.where(seen[..., None], fitted, np.float32(0))
