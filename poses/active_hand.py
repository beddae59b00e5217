"""Which hand signs in a clip: pose-format's estimate, with every number computed once and without masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.utils.generic import detect_known_pose_format
from pose_format.utils.hand import HAND_POINTS, SHORT_CLIP_FRAMES

from poses.file_pose import get_stored
from poses.landmarks import BODY, LEFT_HAND, RIGHT_HAND
from poses.layouts import LayoutKey, build_header
from poses.points import Indexes, choose_person, make_layout_key

Hand = Literal["left", "right"]
Doubles = npt.NDArray[np.float64]

_SIDES = ("LEFT", "RIGHT")
_BODY_POINTS = tuple(f"{side}_{point}" for point in ("SHOULDER", "HIP", "ELBOW", "WRIST") for side in _SIDES)
# Rows of what is read of a clip, left before right.
_SHOULDERS, _TORSO, _ELBOWS, _WRISTS, _HANDS = slice(2), slice(4), slice(4, 6), slice(6, 8), slice(8, None)


@dataclass(frozen=True, eq=False)
class _Places:
    """Where points are in a layout: those of both hands, and those that are compared, in the order of the rows."""

    hands: Indexes
    compared: Indexes


@dataclass(frozen=True)
class _Arm:
    """What is measured of one arm and its hand, lengths in shoulder widths.

    Attributes:
        above_count: frames in which the wrist is above the elbow.
        above_rate: the same as a share of those in which both are seen.
        dist_shoulder: from wrist to shoulder.
        hand_dist_center: from the hand's middle to the torso's.
        hand_motion_sum: way of the hand's points against the torso.
        hand_conf: mean confidence of the hand's points.
        body_motion_sum: way of the wrist against the torso.
    """

    above_count: int
    above_rate: float
    dist_shoulder: float
    hand_dist_center: float
    hand_motion_sum: float
    hand_conf: float
    body_motion_sum: float

    def score(self, *, is_short: bool) -> float:
        """Add up what speaks for a hand; the way of the wrist grows with a clip, so it counts in short ones alone."""
        score = -self.dist_shoulder + 0.05 * self.hand_motion_sum + 2.0 * self.hand_conf + 0.5 * self.hand_dist_center
        return score + 0.2 * self.body_motion_sum if is_short else score


def find_active_hand(pose: Pose, person: int | None = None) -> Hand | None:
    """Estimate which hand signs.

    Args:
        pose: any pose; not changed.
        person: index of the person, needed when there are several.
    Returns:
        The hand, or None when neither is ever seen or the layout is not holistic.
    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
    Source: pose_format.utils.hand.estimate_active_hand, pose-format 0.15, with its weights and thresholds.
    """
    person = choose_person(pose, person)
    places = _find_places(make_layout_key(pose.header))
    values = get_stored(pose)[:, person]  # frames, points, dims
    if places is None or values.shape[-1] < 2:
        return None
    confidence = pose.body.confidence[:, person]  # frames, points
    if not confidence.take(places.hands, axis=1).any():
        return None
    # Rows of one point each, because the library's sums run along them: so its numbers come out to the last bit.
    weights = confidence.take(places.compared, axis=1).T.astype(np.float64, order="C")  # points, frames
    xy = values.take(places.compared, axis=1).T[:2].astype(np.float64, order="C")  # 2, points, frames
    with np.errstate(over="ignore", invalid="ignore"):  # stored values may be anything
        left, right = _measure_arms(xy, weights)
    return _choose(left, right, is_short=len(values) < SHORT_CLIP_FRAMES)


# A few layouts are in use at a time.
@lru_cache(maxsize=32)
def _find_places(layout: LayoutKey) -> _Places | None:
    """Find the points in a layout; None if they are not all there, or if it is not a holistic one."""
    header = build_header(layout)
    names = [name for name, _, points in layout for _ in points]
    compared = [(BODY, point) for point in _BODY_POINTS]
    compared += [(hand, point) for hand in (LEFT_HAND, RIGHT_HAND) for point in HAND_POINTS]
    try:
        if detect_known_pose_format(header) != "holistic":
            return None
        places = [header.get_point_index(component, point) for component, point in compared]
    except ValueError:
        return None
    in_hands = [place for place, name in enumerate(names) if name in (LEFT_HAND, RIGHT_HAND)]
    return _Places(np.array(in_hands, dtype=np.intp), np.array(places, dtype=np.intp))


def _measure_arms(xy: Doubles, confidence: Doubles) -> tuple[_Arm, _Arm]:
    """Measure the left and the right arm.

    Args:
        xy: (2, points, frames), the points as _BODY_POINTS and then those of the hands; changed.
        confidence: (points, frames).
    """
    seen = confidence > 0
    np.copyto(xy, np.nan, where=~seen)
    scale = _measure_scale(xy)
    center = _find_center(xy)
    visible = seen[_WRISTS] & seen[_ELBOWS]  # arms, frames
    above = visible & (xy[1, _WRISTS] < xy[1, _ELBOWS])
    shoulder_distances = _measure_lengths(xy[:, _WRISTS] - xy[:, _SHOULDERS]) / scale  # arms, frames
    counts = seen[_HANDS].reshape(2, len(HAND_POINTS), -1).sum(axis=1)  # hands, frames
    hands = np.where(np.isnan(xy[:, _HANDS]), 0.0, xy[:, _HANDS]).reshape(2, 2, len(HAND_POINTS), -1)
    middles = hands.sum(axis=2) / np.where(counts == 0, np.nan, counts)  # 2, hands, frames
    middle_distances = _measure_lengths(middles - center[:, None]) / scale
    moving = xy[:, _WRISTS.start :] - center[:, None]  # 2, points, frames
    steps = _measure_lengths(moving[..., 1:] - moving[..., :-1]) / scale  # points, frames - 1
    steps[np.isnan(steps)] = 0
    wrist_steps, hand_steps = steps[:2], steps[2:].reshape(2, len(HAND_POINTS), -1)
    hand_weights = confidence[_HANDS].reshape(2, len(HAND_POINTS), -1)
    left, right = (
        _Arm(
            above_count=np.count_nonzero(above[arm]),
            above_rate=np.count_nonzero(above[arm]) / max(1, np.count_nonzero(visible[arm])),
            dist_shoulder=_find_median(shoulder_distances[arm], 0.0),
            hand_dist_center=_find_median(middle_distances[arm], 0.0),
            hand_motion_sum=float(hand_steps[arm].sum()),
            hand_conf=float(hand_weights[arm].sum()) / hand_weights[arm].size,
            body_motion_sum=float(wrist_steps[arm].sum()),
        )
        for arm in range(2)
    )
    return left, right


def _measure_scale(xy: Doubles) -> float:
    """Measure the median distance of the shoulders; at least 1, because less is no measure."""
    return max(1.0, _find_median(_measure_lengths(xy[:, 0] - xy[:, 1]), 1.0))


def _find_center(xy: Doubles) -> Doubles:
    """Find the middle of shoulders and hips, as far as they are seen: (2, frames); NaN where none is."""
    torso = xy[:, _TORSO]
    finite = np.isfinite(torso).all(axis=0)  # points, frames
    counts = finite.sum(axis=0)
    center: Doubles = np.where(finite, torso, 0.0).sum(axis=1) / np.where(counts == 0, np.nan, counts)
    return center


def _measure_lengths(xy: Doubles) -> Doubles:
    lengths: Doubles = np.sqrt(xy[0] * xy[0] + xy[1] * xy[1])
    return lengths


def _find_median(values: Doubles, default: float) -> float:
    """Find the median of the finite numbers, or else the default."""
    finite = np.sort(values[np.isfinite(values)])
    middle = len(finite) // 2
    if not len(finite):
        return default
    return float(finite[middle]) if len(finite) % 2 else float(finite[middle - 1] + finite[middle]) / 2


def _choose(left: _Arm, right: _Arm, *, is_short: bool) -> Hand:
    raised = _find_only_raised(left, right, is_short=is_short)
    if raised is not None:
        return raised
    left_score, right_score = left.score(is_short=is_short), right.score(is_short=is_short)
    both_raised = abs(left.above_count - right.above_count) <= 1 and min(left.above_rate, right.above_rate) >= 0.8
    extended = _find_extended(left, right) if both_raised and abs(left_score - right_score) < 0.6 else None
    return extended or ("left" if left_score > right_score else "right")


def _find_only_raised(left: _Arm, right: _Arm, *, is_short: bool) -> Hand | None:
    """Find the only arm that is raised. In a short clip this counts where hands are hardly seen, and by motion."""
    if not is_short:
        if left.above_rate >= 0.9 and right.above_rate <= 0.2 and left.hand_conf + 0.05 >= right.hand_conf:
            return "left"
        is_right = right.above_rate >= 0.9 and left.above_rate <= 0.2 and right.hand_conf + 0.05 >= left.hand_conf
        return "right" if is_right else None
    if (
        max(left.hand_conf, right.hand_conf) < 0.45
        and max(left.above_rate, right.above_rate) >= 0.9
        and abs(left.body_motion_sum - right.body_motion_sum) > 0.5
    ):
        if left.body_motion_sum > right.body_motion_sum and left.above_rate >= 0.5:
            return "left"
        if right.above_rate >= 0.5:
            return "right"
    return None


def _find_extended(left: _Arm, right: _Arm) -> Hand | None:
    """Find the hand that is held away from the body, where both are raised."""
    farther = right.hand_dist_center - left.hand_dist_center
    if abs(farther) > 0.4:
        return "right" if farther > 0 else "left"
    if right.hand_conf - left.hand_conf >= 0.05 and farther >= 0.1:
        return "right"
    if left.hand_conf - right.hand_conf >= 0.05 and -farther >= 0.1:
        return "left"
    return None
