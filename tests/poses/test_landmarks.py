from __future__ import annotations

from poses.landmarks import BODY_POINTS, FACE_POINTS, LEFT_HAND_POINTS, RIGHT_HAND_POINTS, mirror_point


def test_names_and_order_are_mediapipes():
    from pose_format.utils import holistic

    assert [point.name for point in BODY_POINTS] == list(holistic.BODY_POINTS)
    assert [point.name for point in FACE_POINTS] == holistic.FACEMESH_CONTOURS_POINTS
    assert [point.name for point in LEFT_HAND_POINTS] == list(holistic.HAND_POINTS)
    assert [point.name for point in RIGHT_HAND_POINTS] == list(holistic.HAND_POINTS)


def test_a_reduced_pose_holds_all_its_mirror_image_needs():
    points = {*BODY_POINTS, *FACE_POINTS, *LEFT_HAND_POINTS, *RIGHT_HAND_POINTS}
    assert {mirror_point(point) for point in points} == points
