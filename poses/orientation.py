"""Which way up a signer is in the picture, by head, shoulders and hips."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from poses.parts import Parts
from poses.points import see_both, take_xy

Seen = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Place = npt.NDArray[np.float64]

# Signers lean by up to 25° in the lexicon's and the golden clips. A camera held the wrong way turns them by 90°.
_MOST_LEANING_DEGREES = 50.0
# The direction by the shoulders and the direction by the head must agree to within 45°. Where they differ by more, the
# points are wrong, and nothing is reported.
_LEAST_COSINE = 0.7
# Shoulders that are closer than a quarter of the body's length are seen from the side, and give no direction.
_LEAST_WIDTH = 0.25


def find_orientation_warning(values: Floats, seen: Seen, parts: Parts) -> str | None:
    """Describe how a signer is turned who is not upright; None for an upright signer, or if the clip does not show it.

    Args:
        values: (frames, points, dims): x to the right and y downwards, in any unit.
        seen: (frames, points).
        parts: of the layout.
    """
    places = _find_places(values, seen, parts)
    if places is None:
        return None
    head, right, left, hips = places
    below = (right + left) / 2 if hips is None else hips
    # Numbers of Python, because NumPy takes longer to begin than two of them take.
    up_x, up_y = (head - below).tolist()
    across_x, across_y = (left - right).tolist()
    length, width = math.hypot(up_x, up_y), math.hypot(across_x, across_y)
    if not (math.isfinite(length) and math.isfinite(width)) or length == 0:
        return None
    # Where the signer's left side is at the right of the picture, turning `across` by a quarter gives up as well.
    agreement = across_y * up_x - across_x * up_y
    is_mirrored = agreement < 0
    if width > _LEAST_WIDTH * length and abs(agreement) < _LEAST_COSINE * length * width:
        return None
    # Each weighs as much as it is long: somebody seen from the side has next to no width between the shoulders.
    sign = -1 if is_mirrored else 1
    up_x, up_y = up_x + sign * across_y, up_y - sign * across_x
    degrees = math.degrees(math.atan2(up_x, -up_y))  # clockwise from upright
    if abs(degrees) <= _MOST_LEANING_DEGREES:
        return None
    if abs(degrees) < 180 - _MOST_LEANING_DEGREES:
        side, turn = ("right", "counterclockwise") if degrees > 0 else ("left", "clockwise")
        return f"the signer lies sideways, with the head to the {side}; turn the video by a quarter {turn}"
    if is_mirrored:
        return "y points up: heads have a larger y than shoulders; give y from the picture's top down"
    return "the signer is upside down; turn the video by half a turn"


def _find_places(values: Floats, seen: Seen, parts: Parts) -> tuple[Place, Place, Place, Place | None] | None:
    """Mean places (x, y) of head, right shoulder, left shoulder and hips, over the frames in which they are seen."""
    if not len(parts.shoulders) or not len(parts.head) or values.shape[-1] < 2:
        return None
    head_seen = seen.take(parts.head, axis=1)  # frames, head points
    frames = see_both(seen, parts.shoulders) & head_seen.any(axis=1)
    count = np.count_nonzero(frames)
    if not count:
        return None
    # Rows of one point and coordinate each, because NumPy is slow along a last axis of two.
    weights = head_seen.compress(frames, axis=0).T.astype(np.float64, order="C")  # head points, frames
    # A sum and its count: NumPy's `mean` takes three times as long to begin.
    head = ((take_xy(values, parts.head, frames) * weights).sum(axis=1) / weights.sum(axis=0)).sum(axis=1) / count
    shoulders = take_xy(values, parts.shoulders, frames).sum(axis=2) / count  # x and y, points
    hips: Place | None = None
    if len(parts.hips):
        with_hips = frames & see_both(seen, parts.hips)
        hips_count = np.count_nonzero(with_hips)
        if hips_count * 2 >= count:
            hips = take_xy(values, parts.hips, with_hips).sum(axis=(1, 2)) / (2 * hips_count)
    return head, shoulders[:, 0], shoulders[:, 1], hips
