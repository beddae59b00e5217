"""A hand in its own frame of reference: palm in the picture's plane, middle finger along one axis, one size.

What is computed is pose_format's PoseNormalizer, with its one oddity: its x and y axes are not scaled to unit length,
so a palm that is turned away is also squeezed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from poses.landmarks import RIGHT_HAND, RIGHT_HAND_POINTS, Point
from poses.points import Floats, Selection

_SIZE = 100.0
"""Length from the wrist to the middle finger's base. Source: hand_normalization, J22Melody/fairseq@a8199440."""
_WRIST, _PINKY, _INDEX, _MIDDLE = (
    Point(RIGHT_HAND, name) for name in ("WRIST", "PINKY_MCP", "INDEX_FINGER_MCP", "MIDDLE_FINGER_MCP")
)


def turn_right_hand(values: Floats, missing: npt.NDArray[np.bool_], selection: Selection) -> Floats:
    """Turn, scale and move the right hand of each frame; then move the whole clip until its smallest coordinates are 0.

    Args:
        values: (frames, points, 3), in any unit.
        missing: (frames, points). A hand without the wrist or one of the three bases counts as missing as a whole.
        selection: of the points.
    Returns:
        (frames, points, 3), the right hand's changed; 0 where it is missing or flat.
    Source: PoseProcessor.hand_normalization, and pose_format's PoseNormalizer and Pose.focus.
    """
    hand = selection.positions(RIGHT_HAND_POINTS)
    wrist, pinky, index, middle = selection.positions((_WRIST, _PINKY, _INDEX, _MIDDLE))
    whole = ~missing[:, [wrist, pinky, index, middle]].any(axis=1)  # frames
    points = values[whole].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # flat hands become 0 below
        base = points[:, wrist]
        normal = np.cross(points[:, pinky] - base, points[:, index] - base)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        y_axis = np.cross([1.0, 0.0, 0.0], normal)
        axes = np.stack((np.cross(normal, y_axis), y_axis, normal), axis=1)  # frames, 3, 3
        turned = (points[:, hand] - base[:, None]) @ axes.transpose(0, 2, 1)
        direction = turned[:, RIGHT_HAND_POINTS.index(_MIDDLE)]
        angle = -(np.pi / 2 + np.arctan2(direction[:, 1], direction[:, 0]))
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        x, y = turned[..., 0], turned[..., 1]
        turned = np.stack((x * cos - y * sin, x * sin + y * cos, turned[..., 2]), axis=-1)
        turned *= _SIZE / np.linalg.norm(direction, axis=-1)[:, None, None]
    seen = ~missing[whole][:, hand] & np.isfinite(turned).all(axis=-1)  # frames, 21
    if seen.any():
        turned -= turned[seen].min(axis=0)
    result = values.astype(np.float64)
    result[:, hand] = 0
    result[np.ix_(whole, hand)] = np.where(seen[..., None], turned, 0)
    return result
