"""Poses of videos equal pose-format's own, to the bit, whatever the tracker saw before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poses import quality, read
from tests.video.make_videos import clip, encode, moving
from video.errors import TooManyFramesError, VideoError
from video.estimates import VideoLimits
from video.holistic import Tracker, estimate, silence_stderr


@pytest.fixture(scope="module")
def tracker() -> Iterator[Tracker]:
    with silence_stderr():
        tracker = Tracker()
        yield tracker
        tracker.close()


def by_pose_format(video: bytes, folder: Path) -> bytes:
    """The pose that `video_to_pose` makes in a process of its own."""
    source, target = folder / "clip.bin", folder / "clip.pose"
    source.write_bytes(video)
    program = "from pose_format.bin.pose_estimation import main; main()"
    command = [sys.executable, "-c", program, "-i", str(source), "-o", str(target), "--format", "mediapipe"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return target.read_bytes()


@pytest.mark.parametrize("made", [{}, {"rotation": 90}, {"container": "webm", "codec": "libvpx"}], ids=str)
def test_poses_equal_those_of_pose_format_to_the_bit(made: dict[str, Any], tracker: Tracker, tmp_path: Path) -> None:
    pictures = [
        np.ascontiguousarray(np.rot90(picture, -1)) if made.get("rotation") else picture for picture in moving(9)
    ]
    video = encode(pictures, **made)
    tracker.reset()
    assert estimate(video, tracker).pose == by_pose_format(video, tmp_path)


def test_a_reset_tracker_remembers_nothing(tracker: Tracker) -> None:
    first, other = clip(8, seed=1), clip(11, seed=2)
    tracker.reset()
    expected = estimate(first, tracker).pose
    for between in (other, b"no video", other[: len(other) // 2]):
        tracker.reset()
        with suppress(VideoError):
            assert estimate(between, tracker).pose != expected
        tracker.reset()
        assert estimate(first, tracker).pose == expected


def test_the_layout_is_that_of_the_authors(tracker: Tracker) -> None:
    tracker.reset()
    done = estimate(clip(6), tracker)
    pose = read(done.pose)
    layout = {component.name: len(component.points) for component in pose.header.components}
    assert layout == {
        "POSE_LANDMARKS": 33,
        "FACE_LANDMARKS": 468,
        "LEFT_HAND_LANDMARKS": 21,
        "RIGHT_HAND_LANDMARKS": 21,
        "POSE_WORLD_LANDMARKS": 33,
    }
    assert pose.body.data.shape == (6, 1, 576, 3)
    assert pose.header.dimensions.width == pose.header.dimensions.height == 192
    assert (pose.body.fps, done.facts.fps) == (25, 25)
    assert quality.measure_share_with_body(pose) == 1
    assert done.facts.extractor.startswith("mediapipe-0.10.21 holistic model_complexity=1")
    assert done.warnings == ()


def test_progress_is_told_frame_by_frame(tracker: Tracker) -> None:
    told: list[tuple[int, int | None]] = []
    tracker.reset()
    estimate(clip(5), tracker, on_frame=lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(1, 6)]


def test_what_progress_raises_ends_the_estimation_and_leaves_the_tracker_usable(tracker: Tracker) -> None:
    tracker.reset()
    expected = estimate(clip(5), tracker).pose

    def stop(done: int, total: int | None) -> None:
        raise KeyError(done)

    tracker.reset()
    with pytest.raises(KeyError):
        estimate(clip(9, seed=4), tracker, on_frame=stop)
    tracker.reset()
    assert estimate(clip(5), tracker).pose == expected


def test_nobody_in_view_is_nobody_in_the_pose(tracker: Tracker) -> None:
    tracker.reset()
    empty = [np.full((96, 96, 3), 90, np.uint8)] * 4
    assert quality.measure_share_with_body(read(estimate(encode(empty), tracker).pose)) == 0
    tracker.reset()
    with pytest.raises(TooManyFramesError):
        estimate(encode(empty), tracker, limits=VideoLimits(max_frames=3))
