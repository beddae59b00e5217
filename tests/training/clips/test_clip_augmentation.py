"""Changes to features against the same changes to poses: poses.mirror, pose-format's augment2d and interpolate."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions
from pose_format.utils.generic import pose_normalization_info

from corpora import ARRAY_KINDS
from poses import FEATURE_KINDS, extract, mirror, read
from poses.landmarks import FACE_POINTS, LEG_POINTS, Point, mirror_point
from training.clips.augmentation import (
    augment_clip,
    change_pace,
    check_augmentation,
    draw_camera,
    find_seen_points,
    mirror_points,
)
from training.errors import DataError
from training.sections.clips import ClipAugmentation

POSES = Path(__file__).parents[2] / "golden" / "poses"
HANDS = ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")
CONTOURS = [point.name for point in FACE_POINTS]
MIRRORED = ("signclip", "signclip_depth", "signclip_full_face", "signclip_reduced")
SEEDS = st.integers(0, 2**32)


def points_of(features):
    return features.reshape(len(features), -1, 3)


def swap_sides(name):
    return name.replace("LEFT", "\0").replace("RIGHT", "LEFT").replace("\0", "RIGHT")


def clip_pose(name):
    return read((POSES / f"{name}.pose").read_bytes())


def as_pose(points, *, fps=25.0):
    """The normalized pose that features are of; missing points have confidence 0."""
    names = [str(number) for number in range(points.shape[1])]
    header = PoseHeader(0.2, PoseHeaderDimensions(1, 1, 0), [PoseHeaderComponent("A", names, [], [], "XYZC")])
    seen = find_seen_points(points)[:, None, :, 0]
    return Pose(header, NumPyPoseBody(fps, points[:, None].copy(), seen.astype(np.float32)))


def patchy(seed, frames, points=6):
    """Random points of which some are never seen, some always and some now and then."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(frames, points, 3)).astype(np.float32)
    seen = rng.random((frames, points)) < rng.choice([0.0, 0.3, 0.8, 1.0], points)
    return values * seen[..., None]


@pytest.mark.parametrize("clip", ["house", "gsg_C"])
@pytest.mark.parametrize("kind", MIRRORED)
def test_mirrored_features_are_of_the_mirrored_pose(kind, clip):
    pose = clip_pose(clip)
    ours = mirror_points(points_of(extract(pose, kind)), kind)
    np.testing.assert_allclose(ours, points_of(extract(mirror(pose), kind)), atol=2e-4)


def test_flip_equals_the_authors():
    # PoseProcessor flips x of the normalized pose and then asks for the other side's points by their names.
    pose = clip_pose("house").get_components(["POSE_LANDMARKS", "FACE_LANDMARKS", *HANDS], {"FACE_LANDMARKS": CONTOURS})
    pose = pose.normalize(pose_normalization_info(pose.header))
    pose.body = pose.body.flip(0)
    body = [swap_sides(name) for name in pose.header.components[0].points]
    order = {
        "POSE_LANDMARKS": body,
        "FACE_LANDMARKS": [mirror_point(Point("FACE_LANDMARKS", p)).name for p in CONTOURS],
    }
    flipped = pose.get_components(["POSE_LANDMARKS", "FACE_LANDMARKS", *reversed(HANDS)], order)
    flipped = flipped.normalize(pose_normalization_info(flipped.header))
    legs = [place for place, point in enumerate(FEATURE_KINDS["signclip"].points) if point in LEG_POINTS]
    expected = np.asarray(flipped.body.data)[:, 0]
    expected[:, legs] = 0
    ours = mirror_points(points_of(extract(clip_pose("house"), "signclip")), "signclip")
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@given(SEEDS)
def test_camera_equals_augment2d(seed):
    points = patchy(seed, 5)
    strength = ClipAugmentation(rotation=0.2, shear=0.3, scale=0.1)
    matrix = draw_camera(strength, np.random.default_rng(seed))
    # pose-format draws from NumPy's global generator: shear, rotation, scale.
    drawn = iter(np.random.default_rng(seed).normal(0.0, (0.3, 0.2, 0.1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "normal", lambda loc, scale, size: [next(drawn)])
        body = as_pose(points).body.augment2d(rotation_std=0.2, shear_std=0.3, scale_std=0.1)
    np.testing.assert_allclose(points @ matrix, np.asarray(body.data.filled(0))[:, 0], atol=1e-5)


@given(SEEDS, st.integers(2, 30), st.integers(3, 60))
def test_pace_equals_interpolate(seed, frames, new_frames):
    points = patchy(seed, frames)
    # A frame rate that is the number of frames makes pose-format's rounding exact.
    body = as_pose(points, fps=float(frames)).body.interpolate(float(new_frames), kind="linear")
    assert len(body.data) == new_frames
    changed, theirs = change_pace(points, new_frames), np.asarray(body.data.filled(0))[:, 0]
    between = np.arange(new_frames) * (frames - 1) % (new_frames - 1) > 0
    between[[0, -1]] = True
    np.testing.assert_allclose(changed[between], theirs[between], atol=1e-5)
    # Where a moment is an old frame, pose-format may miss a point by rounding; what is seen there has to be there.
    exact = np.flatnonzero(~between)
    old = exact * (frames - 1) // (new_frames - 1)
    seen = find_seen_points(points)[old]
    np.testing.assert_allclose(changed[exact] * seen, points[old], atol=1e-6)


def test_pace_of_real_clips_equals_interpolate():
    points = points_of(extract(clip_pose("house"), "signclip"))
    body = as_pose(points, fps=73.0).body.interpolate(88.0, kind="linear")
    np.testing.assert_allclose(change_pace(points, 88), np.asarray(body.data.filled(0))[:, 0], atol=1e-5)


def augment(points, seed=0, *, kind="signclip", max_frames=256, **strength):
    features = points.reshape(len(points), -1)
    rng = np.random.default_rng(seed)
    return augment_clip(features, kind, strength=ClipAugmentation(**strength), rng=rng, max_frames=max_frames)


@given(SEEDS, st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 0.01), st.sampled_from([0.0, 1.0]))
def test_what_is_missing_throughout_stays_missing(seed, camera, temporal, noise, flip):
    points = np.random.default_rng(seed).normal(size=(8, 203, 3)).astype(np.float32)
    hand = slice(161, 182)
    points[:, hand] = 0
    strength = {"rotation": camera, "shear": camera, "scale": camera, "temporal": temporal, "noise": noise}
    changed = points_of(augment(points, seed, flip=flip, **strength))
    other = slice(182, 203) if flip else hand  # a mirrored clip lacks the other hand
    np.testing.assert_array_equal(np.flatnonzero(~changed.any(axis=(0, 2))), np.arange(203)[other])


def test_all_zero_changes_nothing():
    points = patchy(0, 9, 203)
    np.testing.assert_array_equal(augment(points), points.reshape(9, -1))
    assert not ClipAugmentation().is_active


def test_the_clip_given_is_left_as_it_was():
    points = patchy(0, 9, 203)
    points.flags.writeable = False  # as those of the cache are
    augment(points, flip=1.0, rotation=0.2, shear=0.2, scale=0.2, temporal=0.2, noise=0.001)


def test_strengths_are_standard_deviations():
    points = np.ones((20, 203, 3), dtype=np.float32)
    lengths = np.array([len(augment(points, seed, temporal=0.2)) / 20 for seed in range(300)])
    assert abs(lengths.mean() - 1) < 0.05
    assert 0.17 < lengths.std() < 0.23
    noise = np.concatenate([augment(points, seed, noise=0.001) - 1 for seed in range(3)])
    assert 0.00098 < noise.std() < 0.00102
    flips = [augment(points, seed, flip=0.2)[0, 0] < 0 for seed in range(500)]
    assert 0.14 < np.mean(flips) < 0.26


def test_clips_that_would_reach_the_limit_keep_their_pace():
    points = np.ones((20, 203, 3), dtype=np.float32)
    lengths = {len(augment(points, seed, temporal=0.2, max_frames=20)) for seed in range(50)}
    assert max(lengths) == 20
    assert min(lengths) < 20
    assert len(augment(np.ones((1, 203, 3), np.float32), temporal=0.2)) == 1


@pytest.mark.parametrize("kind", ["fingerclip", "fingerclip_3d", "signclip_standardized"])
def test_kinds_without_a_mirror_image(kind):
    check_augmentation(ClipAugmentation(rotation=0.2, shear=0.2, scale=0.2, temporal=0.2, noise=0.001), kind)
    with pytest.raises(DataError, match="no mirror image"):
        check_augmentation(ClipAugmentation(flip=0.2), kind)


@pytest.mark.parametrize("kind", ARRAY_KINDS)
def test_features_that_are_no_poses(kind):
    check_augmentation(ClipAugmentation(), kind)
    with pytest.raises(DataError, match="not made of poses"):
        check_augmentation(ClipAugmentation(noise=0.001), kind)


def test_rotation_is_about_the_shoulders():
    turned = draw_camera(ClipAugmentation(rotation=0.2), np.random.default_rng(1))
    assert math.isclose(np.linalg.det(turned), 1, rel_tol=1e-6)
    assert turned[2].tolist() == [0, 0, 1]
