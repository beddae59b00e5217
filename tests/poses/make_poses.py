"""Poses to test with, and the authors' way to features, through pose-format's own masked operations."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from poses.landmarks import BODY_POINTS, FACE_POINTS, LEFT_HAND_POINTS, LEG_POINTS

Floats = npt.NDArray[np.float32]

BODY_NAMES = [point.name for point in BODY_POINTS]
HAND_NAMES = [point.name for point in LEFT_HAND_POINTS]
CONTOUR_NAMES = [point.name for point in FACE_POINTS]
HOLISTIC = ("POSE_LANDMARKS", "FACE_LANDMARKS", "LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS", "POSE_WORLD_LANDMARKS")
WIDTH, HEIGHT = 640, 480


def _names(component: str, face_points: int) -> list[str]:
    if component == "FACE_LANDMARKS":
        return CONTOUR_NAMES if face_points == len(CONTOUR_NAMES) else [str(number) for number in range(face_points)]
    return list(HAND_NAMES if "HAND" in component else BODY_NAMES)


def build_pose(
    frames: int = 6,
    *,
    people: int = 1,
    components: Sequence[str] | Mapping[str, Sequence[str]] = HOLISTIC,
    face_points: int = 468,
    missing: Mapping[str, object] | None = None,
    seed: int = 0,
) -> Pose:
    """Build a pose of random points around two shoulders 100 pixels apart.

    Args:
        frames: of the clip.
        people: of every frame.
        components: names in the layout, with MediaPipe's points; or names with points of one's own.
        face_points: 468, 478, or 128 for the contours alone.
        missing: frames (anything that indexes) by component, or by component/point, to leave unseen, as 0.
        seed: of the random numbers.
    """
    points = (
        {name: list(names) for name, names in components.items()}
        if isinstance(components, Mapping)
        else {name: _names(name, face_points) for name in components}
    )
    layout = [PoseHeaderComponent(name, names, [], [], "XYZC") for name, names in points.items()]
    header = PoseHeader(0.2, PoseHeaderDimensions(WIDTH, HEIGHT, 0), layout)
    random = np.random.default_rng(seed)
    values = random.normal((320, 200, 0), (60, 60, 0.1), size=(frames, people, header.total_points(), 3))
    confidence = random.uniform(0.1, 1, size=values.shape[:3])
    start = 0
    for name, names in points.items():
        for offset, point in enumerate(names):
            if name == "POSE_LANDMARKS" and point.endswith("SHOULDER"):
                side = 50 if point.startswith("LEFT") else -50
                values[:, :, start + offset] = random.normal((320 + side, 200, 0), 1, size=(frames, people, 3))
            for key in (name, f"{name}/{point}"):
                if missing and key in missing:
                    values[missing[key], :, start + offset] = 0
                    confidence[missing[key], :, start + offset] = 0
        start += len(names)
    return Pose(header, NumPyPoseBody(25.0, values.astype(np.float32), confidence.astype(np.float32)))


def set_heights(pose: Pose, name: str, heights: npt.ArrayLike) -> None:
    """Set y of a point, "component/point", in every frame."""
    pose.body.data.data[:, :, pose.header.get_point_index(*name.split("/")), 1] = np.reshape(heights, (-1, 1))


def hold(pose: Pose, *, left: npt.ArrayLike = 300, right: npt.ArrayLike = 300) -> Pose:
    """Set the heights of both wrists, those of the body and of the hands, with elbows at 250. Lower is larger."""
    for side, heights in (("LEFT", left), ("RIGHT", right)):
        full = np.broadcast_to(np.asarray(heights, dtype=np.float32), (len(pose.body.data),))
        set_heights(pose, f"POSE_LANDMARKS/{side}_ELBOW", np.full(len(full), 250))
        set_heights(pose, f"POSE_LANDMARKS/{side}_WRIST", full)
        set_heights(pose, f"{side}_HAND_LANDMARKS/WRIST", full)
    return pose


def raise_in(frames: int, *raised: int) -> Floats:
    """Heights of a wrist, for hold, that is raised in some frames."""
    heights = np.full(frames, 300, dtype=np.float32)
    heights[list(raised)] = 200
    return heights


def write_pose(pose: Pose, *, version: float = 0.2) -> bytes:
    """Write a pose as a file of version 0.2, by pose-format, or of 0.1, which it no longer writes."""
    buffer = io.BytesIO()
    if version == 0.2:
        pose.write(buffer)
        return buffer.getvalue()
    pose.header.write(buffer)
    frames, people = pose.body.data.shape[:2]
    sizes = struct.pack("<HHH", round(pose.body.fps), frames % 65_536, people)
    arrays = np.asarray(pose.body.data, "<f4").tobytes() + np.asarray(pose.body.confidence, "<f4").tobytes()
    return struct.pack("<f", version) + buffer.getvalue()[4:] + sizes + arrays


def compute_as_the_authors(pose: Pose, kind: str, *, flip: bool = False, anonymize: bool = False) -> Floats:
    """Compute features as the authors do, step by step on masked arrays, for a pose of one person."""
    pose = pose.get_components(list(HOLISTIC[:4]), {"FACE_LANDMARKS": CONTOUR_NAMES})
    pose.header.dimensions = PoseHeaderDimensions(pose.header.dimensions.width, pose.header.dimensions.height, 0)
    if flip:
        from pose_format.utils.holistic import mirror_horizontal

        # The mirror leaves the image's width under the mask; a missing point is to keep what was stored, here 0.
        pose = mirror_horizontal(pose)
        pose.body = pose.body.zero_filled()
    if kind == "signclip_depth":
        pose.body.data = pose.body.data * np.array([1, 1, pose.header.dimensions.width], np.float32)
    if anonymize:
        from pose_anonymization.appearance import remove_appearance

        pose = remove_appearance(pose)
    shoulders = [("POSE_LANDMARKS", "RIGHT_SHOULDER"), ("POSE_LANDMARKS", "LEFT_SHOULDER")]
    pose = pose.normalize(pose.header.normalization_info(*shoulders))
    if kind == "fingerclip":
        pose = pose.get_components(["RIGHT_HAND_LANDMARKS"])
    else:
        legs = [pose.header.get_point_index(*point) for point in LEG_POINTS]
        pose.body.data[:, :, legs] = 0
    features = np.nan_to_num(np.asarray(pose.body.data))
    return features.reshape(len(features), -1)


def measure_error(actual: Floats, expected: Floats) -> float:
    """Largest difference as a share of the largest value."""
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())
