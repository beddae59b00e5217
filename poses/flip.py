"""Left and right: the mirror image of a pose, and whether its right hand moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

from poses.errors import PoseLayoutError
from poses.landmarks import (
    COMPONENTS,
    RIGHT_HAND_POINTS,
    Point,
    mirror_point,
)
from poses.points import Selection, select

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
