"""Layouts of points: as a key, as a header, and which tool they come from, so that a refusal can say what to do."""

from __future__ import annotations

from dataclasses import dataclass

from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from poses.landmarks import BODY, BODY_POINTS, COMPONENTS, FACE, LEFT_HAND, RIGHT_HAND

LayoutKey = tuple[tuple[str, str, tuple[str, ...]], ...]
"""Name, format and points of each component: all that decides where a point is."""

_ESTIMATE = "estimate the pose from the video with MediaPipe Holistic (POST /api/pose, or python -m video estimate)"
# Names of components that only one estimator gives, as pose_format.utils.generic.detect_known_pose_format has them.
_OTHER_ESTIMATORS: tuple[tuple[str, str], ...] = (
    ("pose_keypoints_2d", "OpenPose"),
    ("BODY_135", "OpenPose"),
    ("BODY_133", "AlphaPose"),
    ("BODY_136", "AlphaPose"),
    ("BODY", "COCO WholeBody"),
)
# What reduce_holistic keeps of the body has none of these in its name.
_REDUCED_AWAY = ("EAR", "NOSE", "MOUTH", "EYE", "THUMB", "PINKY", "INDEX", "KNEE", "ANKLE", "HEEL")
_KEPT = frozenset(point.name for point in BODY_POINTS if not any(name in point.name for name in _REDUCED_AWAY))


@dataclass(frozen=True)
class KnownLayout:
    """A layout that is recognized.

    Attributes:
        name: for people: "MediaPipe Holistic", "OpenPose".
        advice: what to do where a model needs another one.
    """

    name: str
    advice: str


def build_header(layout: LayoutKey) -> PoseHeader:
    """Build a header of a layout, for code that looks points up in headers. It has no limbs and no picture's size."""
    return PoseHeader(
        0.2,
        PoseHeaderDimensions(0, 0, 0),
        [PoseHeaderComponent(name, list(names), [], [], point_format) for name, point_format, names in layout],
    )


def recognize_layout(layout: LayoutKey) -> KnownLayout:
    """Find out where a layout comes from, by the names in it alone.

    Source: pose_format.utils.generic, detect_known_pose_format and reduce_holistic.
    """
    points = {component: names for component, _, names in layout}
    count = sum(map(len, points.values()))
    if BODY in points and points[BODY] and _KEPT.issuperset(points[BODY]):
        return KnownLayout(
            f"a reduced MediaPipe Holistic pose ({count} points, as pose_format's reduce_holistic leaves them)",
            "send the pose as it was before it was reduced, or " + _ESTIMATE,
        )
    if COMPONENTS.issuperset(points) and BODY not in points:
        parts = {LEFT_HAND: "the left hand", RIGHT_HAND: "the right hand", FACE: "the face"}
        found = " and ".join(part for component, part in parts.items() if component in points)
        return KnownLayout(
            f"{found or 'world landmarks'} of a MediaPipe Holistic pose, without the body",
            "send the whole pose, because its shoulders give the unit of length; or " + _ESTIMATE,
        )
    if BODY in points:
        return KnownLayout("a MediaPipe Holistic pose", "send the whole pose as the estimator gave it, or " + _ESTIMATE)
    for component, name in _OTHER_ESTIMATORS:
        if component in points:
            return KnownLayout(
                f"a pose of {name} ({count} points)", "models here take MediaPipe Holistic's points: " + _ESTIMATE
            )
    return KnownLayout(f"a layout that is not known here ({count} points)", _ESTIMATE)
