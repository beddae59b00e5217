"""The preprocessing of sign-vq: no hands and face in the body, hands from their wrists, each number standardized.

Source: sign_vq.data.normalize, github.com/sign-language-processing/sign-vq, as J22Melody/fairseq uses it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from poses.landmarks import (
    BODY,
    FACE_POINTS,
    LEFT_HAND,
    LEFT_HAND_POINTS,
    RIGHT_HAND,
    RIGHT_HAND_POINTS,
    Point,
)
from poses.points import Floats, Selection

_BODY_POINTS = tuple(
    Point(BODY, f"{side}_{name}") for name in ("SHOULDER", "ELBOW", "WRIST", "HIP") for side in ("LEFT", "RIGHT")
)
POINTS = (*_BODY_POINTS, *FACE_POINTS, *LEFT_HAND_POINTS, *RIGHT_HAND_POINTS)
"""What pose_format.utils.generic.reduce_holistic keeps, in its order."""
_HANDS = (
    (LEFT_HAND_POINTS, Point(LEFT_HAND, "WRIST"), Point(BODY, "LEFT_WRIST")),
    (RIGHT_HAND_POINTS, Point(RIGHT_HAND, "WRIST"), Point(BODY, "RIGHT_WRIST")),
)


def hands_from_wrists(values: Floats, missing: npt.NDArray[np.bool_], selection: Selection) -> Floats:
    """Put the body's wrists where the hands' are, and measure hands from there.

    Args:
        values: (frames, points, 3), measured from between the shoulders.
        missing: (frames, points); a wrist that only the hand shows is marked as seen in it.
        selection: of the points.
    Returns:
        The values, changed in place.
    Source: pre_process_mediapipe. Its correct_wrists no longer has an effect with pose-format from 0.9 on, which
        returns a changed pose instead of changing the one given; here it has the effect it is named for.
    """
    for points, hand_wrist, body_wrist in _HANDS:
        hand = selection.positions(points)
        wrist, body = selection.positions((hand_wrist, body_wrist))
        seen = ~missing[:, wrist]
        values[seen, body] = values[seen, wrist]
        missing[seen, body] = False
        shown = seen[:, None] & ~missing[:, hand]  # frames, 21
        values[:, hand] -= np.where(shown[..., None], values[:, wrist][:, None], 0)
    return values


def standardize(values: Floats, missing: npt.NDArray[np.bool_], selection: Selection) -> Floats:
    """Subtract Spreadthesign's mean from each number of `hands_from_wrists` and divide by its standard deviation.

    Arguments and result have the shapes of `hands_from_wrists`: (frames, points, 3) and (frames, points).

    They are pose-anonymization's, counted on the same data as sign-vq's own. Compared at six points of arms, shoulders
    and hips, means differ by up to half a standard deviation, and deviations by up to 14 % in x and y and 65 % in z:
    weights that the authors trained on theirs would not fit these.

    Source: normalize_mean_std.
    """
    values = hands_from_wrists(values, missing, selection)
    places = selection.positions(POINTS)
    mean, deviation = _spread_the_sign()
    shown = ~missing[:, places, None]
    values[:, places] = np.where(shown, (values[:, places] - mean) / deviation, values[:, places])
    return values


@lru_cache(maxsize=1)
def _spread_the_sign() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    # (178, 3) each, in the order of POINTS.
    from pose_anonymization.data import load_mean_and_std, load_pose_header  # 150 kB: only for those who ask

    header = load_pose_header()
    names = [Point(component.name, name) for component in header.components for name in component.points]
    rows = [names.index(point) for point in POINTS]
    mean, deviation = load_mean_and_std()
    return mean[rows], deviation[rows]
