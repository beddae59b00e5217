"""Previews equal the golden ones, are small, and show no face.

The golden ones are made by `python -m tests.poses.test_previews`; look at them before they are committed.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest

from poses.errors import PersonError, PoseLayoutError
from poses.previews import MAX_BYTES, draw_preview
from poses.reading import read
from poses.skeleton import choose_frames, extract_skeleton
from tests.poses.make_poses import HOLISTIC, build_pose, write_pose

GOLDEN = Path(__file__).parents[1] / "golden"
KINDS = ("svg", "gif", "webp", "pose")


def read_golden(name: str):
    return read((GOLDEN / "poses" / f"{name}.pose").read_bytes())


def build_drawable(frames: int = 6, **options):
    """A random pose whose components have the lines of a golden one."""
    pose = build_pose(frames, **options)
    lines = {component.name: component.limbs for component in read_golden("ase_A").header.components}
    for component in pose.header.components:
        component.limbs = lines[component.name]
    return pose


def read_pixels(data: bytes) -> list[np.ndarray]:
    from PIL import Image, ImageSequence

    with Image.open(io.BytesIO(data)) as pictures:
        return [np.asarray(picture.convert("RGB")) for picture in ImageSequence.Iterator(pictures)]


@pytest.mark.parametrize("kind", ["svg", "pose"])
def test_lines_equal_the_golden_ones(kind):
    assert draw_preview(read_golden("ase_A"), kind) == (GOLDEN / "previews" / f"ase_A.{kind}").read_bytes()


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_pictures_equal_the_golden_ones(kind):
    drawn = read_pixels(draw_preview(read_golden("ase_A"), kind))
    golden = read_pixels((GOLDEN / "previews" / f"ase_A.{kind}").read_bytes())
    assert len(drawn) == len(golden) == 21
    for one, other in zip(drawn, golden, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ase_A", "house", "gss_long"])
def test_previews_are_small(name, kind):
    assert 1000 < len(draw_preview(read_golden(name), kind)) <= MAX_BYTES == 50_000


def test_a_restless_clip_is_drawn_in_fewer_pictures():
    """Random points leave nothing to compress."""
    pose = build_drawable(200)
    for kind in KINDS:
        assert len(draw_preview(pose, kind)) <= MAX_BYTES
    assert len(read_pixels(draw_preview(pose, "gif"))) < 24


def test_no_preview_holds_a_point_of_the_face():
    pose = build_drawable(4, face_points=478)
    components = [component.name for component in pose.header.components]
    faces = [name for name in components if "FACE" in name or "WORLD" in name]
    assert faces
    small = read(draw_preview(pose, "pose"))
    assert [component.name for component in small.header.components] == [n for n in components if n not in faces]
    names = {point for component in small.header.components for point in component.points}
    assert not [name for name in names if re.search("EYE|EAR|MOUTH|KNEE", name)]
    moved = build_drawable(4, face_points=478)
    start = sum(len(component.points) for component in pose.header.components[:1])
    face = slice(start, start + len(pose.header.components[1].points))
    moved.body.data[:, :, face] += 500
    for kind in KINDS:
        assert draw_preview(moved, kind) == draw_preview(pose, kind)


def test_the_small_pose_has_the_points_of_the_large_one():
    pose = read_golden("house")
    small = read(draw_preview(pose, "pose"))
    frames = choose_frames(len(pose.body.data), 24)
    assert small.body.fps == pytest.approx(pose.body.fps * 24 / len(pose.body.data))
    for component in small.header.components:
        for point in component.points:
            place, own = (header.get_point_index(component.name, point) for header in (pose.header, small.header))
            np.testing.assert_array_equal(small.body.data[:, 0, own], pose.body.data[frames, 0, place])
            np.testing.assert_array_equal(small.body.confidence[:, 0, own], pose.body.confidence[frames, 0, place])


def test_frames_are_evenly_spread():
    assert choose_frames(3, 24).tolist() == [0, 1, 2]
    assert choose_frames(100, 4).tolist() == [12, 37, 62, 87]


def test_points_that_were_not_seen_are_not_drawn():
    pose = build_drawable(3, missing={"LEFT_HAND_LANDMARKS": slice(None)})
    skeleton = extract_skeleton(pose, None, most_frames=3)
    assert not any(
        skeleton.seen[:, limb].any()
        for limb, part in zip(skeleton.limbs, skeleton.parts, strict=True)
        if part == "left"
    )
    svg = draw_preview(build_drawable(3, missing=dict.fromkeys(HOLISTIC, slice(None))), "svg")
    assert svg.count(b"L") == 0


def test_what_cannot_be_drawn_says_so():
    with pytest.raises(PoseLayoutError, match="no lines"):
        draw_preview(build_drawable(components=("FACE_LANDMARKS",), face_points=478), "svg")
    two = read(write_pose(build_drawable(people=2, face_points=478)))
    with pytest.raises(PersonError):
        draw_preview(two, "svg")
    assert draw_preview(two, "svg", person=1) != draw_preview(two, "svg", person=0)


if __name__ == "__main__":
    for kind in KINDS:
        (GOLDEN / "previews" / f"ase_A.{kind}").write_bytes(draw_preview(read_golden("ase_A"), kind))
