"""Left and right: the mirror image of a pose, and which hand signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.utils.hand import estimate_active_hand

from poses.errors import PoseLayoutError
from poses.landmarks import (
    COMPONENTS,
    LEFT_HAND,
    RIGHT_HAND,
    RIGHT_HAND_POINTS,
    Point,
    mirror_point,
)
from poses.parts import find_parts
from poses.points import Selection, choose_person, select

Hand = Literal["left", "right"]

_RIGHT_HAND = Selection(RIGHT_HAND_POINTS)


def mirror(pose: Pose) -> Pose:
    """Mirror a pose, as if its image had been flipped left to right.

    Sides of the body, hands and face points change places and x becomes width - x. World landmarks stay, because
    MediaPipe gives the same ones for a flipped image. A point whose counterpart is not in the layout stays in place.

    Args:
        pose: a holistic pose, whole or reduced; not changed.
    Returns:
        A pose with the same header. Missing points keep their counterpart's stored value. pose-format leaves the
        image's width under the mask instead, and code that reads stored values would take it for a point.
    Raises:
        PoseLayoutError: no component of MediaPipe Holistic.
    Source: pose_format.utils.holistic.mirror_horizontal, which imports mediapipe.
    """
    components = pose.header.components
    if not any(component.name in COMPONENTS for component in components):
        names = ", ".join(component.name for component in components)
        raise PoseLayoutError(f"only holistic poses can be mirrored; the pose has {names}")
    points = [Point(component.name, name) for component in components for name in component.points]
    places = {point: place for place, point in enumerate(points)}
    source = [places.get(mirror_point(point), place) for place, point in enumerate(points)]
    in_image = np.array(["WORLD" not in point.component for point in points])  # points

    values = np.asarray(pose.body.data)[:, :, source]  # frames, people, points, dims
    confidence = pose.body.confidence[:, :, source]
    x = values[..., 0]
    np.subtract(pose.header.dimensions.width, x, out=x, where=in_image & (confidence != 0))
    return Pose(pose.header, NumPyPoseBody(pose.body.fps, values, confidence))


def never_moves(pose: Pose, person: int) -> bool:
    """Return whether the right hand is the same in every frame, as it is when it was never seen.

    The authors ask whether the variance of the hand, with NaN as 0, is 0. They compute it over a masked array, where it
    is never 0 for a hand that is missing in all frames. That is the very case the option was made for, so the stored
    values are compared here.

    Raises:
        PoseLayoutError: the layout has no right hand.
    Source: PoseProcessor.__call__, ``flip_pose``, J22Melody/fairseq@a8199440.
    """
    values = np.nan_to_num(select(pose, person, _RIGHT_HAND).values)  # frames, 21, 3
    return bool((values == values[0]).all())


def never_moves_where_seen(pose: Pose, person: int) -> bool:
    """Tell whether the right hand is seen, and each of its points is in the same place wherever it is seen.

    This is the authors' rule to the letter: a variance over a masked array, which has no value for a hand that was
    never seen. Published metrics with a flip at test time were measured by it.

    Raises:
        PoseLayoutError: the layout has no right hand.
    Source: as never_moves.
    """
    clip = select(pose, person, _RIGHT_HAND)
    unseen = np.broadcast_to(clip.missing[..., None], clip.values.shape)  # frames, 21, 3
    # NumPy's masked arrays have no types.
    masked: Any = np.ma.MaskedArray(clip.values, mask=unseen)  # type: ignore[no-untyped-call]
    variance = masked.var(axis=0).sum()
    return variance is not np.ma.masked and bool(variance == 0)


@dataclass(frozen=True, eq=False)
class _Numbers:
    """What pose-format reads of a body, without masked arrays: with them, it takes twice as long to the same end.

    Attributes:
        data: float (frames, people, points, dims).
        confidence: float (frames, people, points), 0 where a point is missing.
    """

    data: npt.NDArray[np.floating[Any]]
    confidence: npt.NDArray[np.floating[Any]]


def find_active_hand(pose: Pose, person: int | None = None) -> Hand | None:
    """Estimate which hand signs.

    Args:
        pose: any pose; not changed.
        person: index of the person, needed when there are several.
    Returns:
        The hand, or None when neither is ever seen or the layout is not holistic.
    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
    Source: pose_format.utils.hand.estimate_active_hand.
    """
    person = choose_person(pose, person)
    confidence = pose.body.confidence[:, [person]]  # frames, 1, points
    values = np.asarray(pose.body.data)[:, [person]]  # frames, 1, points, dims
    in_hand = np.isin(find_parts(pose.header).components, (LEFT_HAND, RIGHT_HAND))  # points
    if values.shape[-1] < 2 or not (confidence[..., in_hand] != 0).any():
        return None
    try:
        hand = estimate_active_hand(Pose(pose.header, _Numbers(values, confidence)))
    except (ValueError, NotImplementedError):  # what it looks up is not in the layout
        return None
    return "left" if hand == "LEFT" else "right"
