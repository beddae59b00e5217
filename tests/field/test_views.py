"""Poses are drawn where they can be seen, whatever their headers say of the picture."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pose_format import Pose
from pose_format.pose_header import PoseHeaderComponent

from poses import PoseContentError
from tests.field.inputs import letter, packed, read_data, scaled, to_bytes, with_fps, with_nan_hands
from tests.poses.make_poses import build_pose
from tests.video.make_videos import clip
from video.__main__ import main
from video.drawing import draw


def sized(width: int, height: int) -> Pose:
    pose = letter()
    pose.header.dimensions.width, pose.header.dimensions.height = width, height
    return pose


def without_colors() -> Pose:
    pose = letter()
    pose.header.components = [
        PoseHeaderComponent(part.name, part.points, part.limbs, [], part.format) for part in pose.header.components
    ]
    return pose


def with_a_point_far_away() -> Pose:
    pose = letter()
    pose.body.data.data[:, 0, 40] = 1e30
    pose.body.data.data[:, 0, 41] = (4e5, -4e5, 0)
    pose.body.confidence[:, 0, 42] = 17
    return pose


POSES: dict[str, Callable[[], Pose]] = {
    "as it should be": letter,
    "in shoulder widths": lambda: scaled("shoulder widths"),
    "in shares of the picture": lambda: scaled("shares"),
    "y up": lambda: scaled("negative y"),
    "a picture of 1 × 1": lambda: sized(1, 1),
    "a picture of 0 × 0": lambda: sized(0, 0),
    "a picture of 65535 × 65535": lambda: sized(65_535, 65_535),
    "a picture of 65535 × 1": lambda: sized(65_535, 1),
    "NaN, as pose-format reads it": with_nan_hands,
    "no colors": without_colors,
    "a point far away": with_a_point_far_away,
    "OpenPose": lambda: Pose.read(read_data("openpose_137.pose")),
    "reduced": lambda: Pose.read(read_data("reduced_178_points.pose")),
    "an unknown layout": lambda: build_pose(4, components={"ANTENNAE": ["A", "B"]}),
    "world landmarks alone": lambda: letter().get_components(["POSE_WORLD_LANDMARKS"]),
}


@pytest.mark.parametrize("case", POSES)
def test_what_is_there_is_drawn_in_bounded_memory(case: str) -> None:
    pose = POSES[case]()
    tracemalloc.start()
    pictures = list(draw(pose))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pictures) == 4
    assert peak_bytes < 60_000_000
    for picture in pictures:
        assert max(picture.shape) <= 1920
        drawn = (picture != 255).any(axis=2)
        # A skeleton's lines; of two antennae, two dots.
        assert drawn.sum() > (300 if len(pose.header.components) > 1 else 10)
    if case not in ("an unknown layout", "world landmarks alone", "a point far away"):
        rows, columns = np.nonzero((pictures[0] != 255).any(axis=2))
        assert max(np.ptp(rows), np.ptp(columns)) > 0.4 * max(pictures[0].shape)


@pytest.mark.parametrize("make", [lambda: scaled("shoulder widths"), lambda: scaled("shares"), lambda: with_fps(0)])
@pytest.mark.parametrize("suffix", [".png", ".gif", ".mp4"])
def test_every_format_is_written(make: Callable[[], Pose], suffix: str, tmp_path: Path) -> None:
    pose, out = tmp_path / "clip.pose", tmp_path / f"clip{suffix}"
    pose.write_bytes(to_bytes(make()))
    assert main(["view", str(pose), "--out", str(out)]) == 0
    ok, picture = cv2.VideoCapture(str(out)).read()
    assert ok
    assert (picture < 128).any(axis=2).sum() > 100


@pytest.mark.parametrize("fps", [0.0, math.nan, -5.0, 1e-6, 1e9])
def test_a_rate_that_is_none_is_replaced_and_said(fps: float, tmp_path: Path, capsys) -> None:
    pose = tmp_path / "clip.pose"
    pose.write_bytes(to_bytes(with_fps(fps)))
    assert main(["view", str(pose), "--out", str(tmp_path / "clip.mp4")]) == 0
    assert "25 are shown" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_packed_pose_is_drawn(suffix: str, tmp_path: Path) -> None:
    pose = tmp_path / f"clip.pose{suffix}"
    pose.write_bytes(packed(to_bytes(letter()), suffix))
    assert main(["view", str(pose), "--out", str(tmp_path / "clip.png")]) == 0
    assert cv2.imread(str(tmp_path / "clip.png")).shape == (500, 2000, 3)


def test_shares_are_drawn_over_the_video_in_its_pixels() -> None:
    video = clip(4)
    over = next(draw(scaled("shares"), video))
    assert over.shape == (192, 192, 3)
    pose = letter()
    pose.body.data.data[..., :2] *= 192 / 500
    pose.header.dimensions.width = pose.header.dimensions.height = 192
    np.testing.assert_array_equal(over, next(draw(pose, video)))


def test_a_pose_that_is_not_in_the_video_is_refused() -> None:
    with pytest.raises(PoseContentError, match="do not lie in the video's picture of 192 × 192 pixels; draw the pose"):
        next(draw(scaled("shoulder widths"), clip(4)))


def test_a_pose_without_points_that_are_seen_is_an_empty_picture() -> None:
    pose = sized(1, 1)
    pose.body.confidence[:] = 0
    assert (next(draw(pose)) == 255).all()
