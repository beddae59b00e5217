"""Where in a picture a pose is drawn: as its header says, or as its points need it where the header cannot be right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from poses.errors import PoseContentError
from poses.landmarks import FACE_POINTS

# Pictures larger than this are drawn smaller: a header can ask for 65,535 × 65,535 pixels, which are 12 GB.
_LONGEST_SIDE = 1920
# Pictures smaller than this show no skeleton.
_SHORTEST_SIDE = 64
# What a pose is drawn on where its header gives no picture that it fits into.
_OWN_SIDE, _MARGIN = 640, 32
# A header's picture is believed if half of the points are in it and they take a twentieth of its side.
_LEAST_INSIDE, _LEAST_EXTENT = 0.5, 0.05
# A few points that flew off must not make the others too small to see.
_PERCENTILES = (1, 99)
# So many frames say where a clip's points are.
_SAMPLED_FRAMES = 500
# What is farther outside than this many sides is not drawn: the library's coordinates are 32 bits wide.
_FARTHEST_SIDES = 10
_BLACK = [(0, 0, 0)]

Size = tuple[int, int]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Framing:
    """How a pose's coordinates become places in a picture: x * scale_x + shift_x, and the same for y.

    Attributes:
        size: width and height of the picture, in pixels.
        is_own: whether the picture is not the one that the header gives.
    """

    size: Size
    scale_x: float = 1.0
    scale_y: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    is_own: bool = False


def find_framing(pose: Pose, video_size: Size | None = None) -> Framing:
    """Choose the picture that a pose is drawn in.

    Args:
        pose: finite, of any layout.
        video_size: width and height of the video that it is drawn over; None: of no video.
    Raises:
        PoseContentError: the points have no x and y, or lie nowhere in the video's picture.
    """
    if pose.body.data.shape[-1] < 2:
        raise PoseContentError(f"points of {pose.body.data.shape[-1]} coordinate; 2 are needed to draw them")
    points = _sample(pose)
    header = (int(pose.header.dimensions.width), int(pose.header.dimensions.height))
    if not len(points):
        return _shrink(video_size or (header if min(header) >= _SHORTEST_SIDE else (_OWN_SIDE, _OWN_SIDE)))
    if _fits(points, header):
        return _shrink(header)
    if video_size is None:
        return _fit(points)
    return _place_over(points, video_size)


def frame_pose(pose: Pose, framing: Framing) -> Pose:
    """Make a pose that can be drawn in a picture, whatever its numbers are; the given one is not changed."""
    shown = _without_clutter(pose)
    values = np.array(shown.body.data.data, dtype=np.float32)  # frames, people, points, dims
    confidence = np.array(shown.body.confidence, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        values[..., 0] = values[..., 0] * np.float32(framing.scale_x) + np.float32(framing.shift_x)
        values[..., 1] = values[..., 1] * np.float32(framing.scale_y) + np.float32(framing.shift_y)
    farthest = _FARTHEST_SIDES * max(framing.size)
    drawable = (np.abs(values[..., :2]) <= farthest).all(axis=-1)  # False for what is not finite, too
    values[~drawable] = 0
    np.nan_to_num(values, copy=False)
    confidence = np.where(drawable, np.clip(np.nan_to_num(confidence), 0, 1), np.float32(0))
    components = [
        PoseHeaderComponent(
            part.name, part.points, part.limbs, part.colors if len(part.colors) else _BLACK, part.format
        )
        for part in shown.header.components
    ]
    header = PoseHeader(shown.header.version, PoseHeaderDimensions(*framing.size, 0), components)
    fps = shown.body.fps if math.isfinite(shown.body.fps) else 0
    return Pose(header, NumPyPoseBody(fps, values, confidence))


def _find_colors(part: PoseHeaderComponent) -> npt.NDArray[np.uint16]:
    """The component's colors: uint16 (colors, 3), of which the library needs at least one."""
    return np.array(part.colors if len(part.colors) else _BLACK, dtype=np.uint16)


def _sample(pose: Pose) -> Points:
    """Places of the points that are seen in some of the frames, float64 (found, 2)."""
    frames = np.linspace(0, len(pose.body.data) - 1, min(len(pose.body.data), _SAMPLED_FRAMES)).round().astype(int)
    names = [part.name for part in pose.header.components for _ in part.points]
    shown = _shown_components(pose)
    in_image = [place for place, name in enumerate(names) if name in shown]
    confidence = np.asarray(pose.body.confidence)[frames][:, :, in_image]
    places: Points = np.asarray(pose.body.data)[frames][:, :, in_image, :2].astype(np.float64)
    seen = (confidence != 0) & np.isfinite(confidence) & np.isfinite(places).all(axis=-1)
    found: Points = places[seen]
    return found


def _fits(points: Points, size: Size) -> bool:
    """Whether most points are in a picture, and do not huddle in one place of it."""
    if min(size) < _SHORTEST_SIDE:
        return False
    inside = ((points >= 0) & (points <= size)).all(axis=-1).mean()
    low, high = np.percentile(points, _PERCENTILES, axis=0)
    return bool(inside >= _LEAST_INSIDE and (high - low).max() >= _LEAST_EXTENT * max(size))


def _shrink(size: Size) -> Framing:
    scale = min(1.0, _LONGEST_SIDE / max(size))
    return Framing(_round_size(size[0] * scale, size[1] * scale), scale, scale)


def _fit(points: Points) -> Framing:
    """A picture around the points."""
    low, high = np.percentile(points, _PERCENTILES, axis=0)
    reach = (high - low).max() / 2
    near = points[((points >= low - reach) & (points <= high + reach)).all(axis=-1)]
    low, high = near.min(axis=0), near.max(axis=0)
    extent = high - low
    longest = float(extent.max()) or 1.0
    scale = (_OWN_SIDE - 2 * _MARGIN) / longest
    width, height = extent * scale + 2 * _MARGIN
    shift = _MARGIN - low * scale
    return Framing(_round_size(width, height), scale, scale, float(shift[0]), float(shift[1]), is_own=True)


def _place_over(points: Points, size: Size) -> Framing:
    """Place a pose in the video's picture, when its header gives another: in pixels, or in shares of the picture."""
    framing = _shrink(size)
    if _fits(points, size):
        return Framing(framing.size, framing.scale_x, framing.scale_y, is_own=True)
    if _fits(points * size, size):
        return Framing(framing.size, size[0] * framing.scale_x, size[1] * framing.scale_y, is_own=True)
    raise PoseContentError(
        f"the points do not lie in the video's picture of {size[0]} × {size[1]} pixels; "
        "draw the pose without its video, or give it in pixels"
    )


def _round_size(width: float, height: float) -> Size:
    return max(_SHORTEST_SIDE, round(width)), max(_SHORTEST_SIDE, round(height))


def _without_clutter(pose: Pose) -> Pose:
    """Leave out world landmarks, a blot in the corner (they are metres from the hips), and most of the face's mesh."""
    layout = {component.name: component.points for component in pose.header.components}
    contours = [point.name for point in FACE_POINTS]
    kept = {"FACE_LANDMARKS": contours} if set(contours) <= set(layout.get("FACE_LANDMARKS", ())) else None
    return pose.get_components(_shown_components(pose), kept)


def _shown_components(pose: Pose) -> list[str]:
    names = [component.name for component in pose.header.components]
    return [name for name in names if "WORLD" not in name] or names
