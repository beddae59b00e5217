from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.utils.hand import estimate_active_hand

import poses
from poses import FeatureOptions, PoseLayoutError, extract, find_active_hand, mirror
from poses.features import is_flipped
from poses.flip import never_moves, never_moves_where_seen

CLIPS = ["house", "ase_A", "gsg_C", "sgg_Ü", "gss_long"]


def assert_mirrors_as_the_library_does(pose):
    from pose_format.utils.holistic import mirror_horizontal

    actual, expected = mirror(pose), mirror_horizontal(pose)
    np.testing.assert_array_equal(actual.body.confidence, expected.body.confidence)
    np.testing.assert_array_equal(actual.body.data.mask, expected.body.data.mask)
    np.testing.assert_array_equal(actual.body.data.filled(0), expected.body.data.filled(0))
    assert actual.body.data.dtype == expected.body.data.dtype
    assert actual.header is expected.header


@pytest.mark.parametrize("clip", CLIPS)
def test_mirrors_real_poses_as_the_library_does(clip, golden_bytes):
    assert_mirrors_as_the_library_does(poses.read(golden_bytes(clip)))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_mirrors_any_layout_as_the_library_does(data, make_pose):
    pose = make_pose(
        3,
        people=data.draw(st.integers(1, 2)),
        face_points=data.draw(st.sampled_from([468, 478, 128])),
        missing=data.draw(
            st.dictionaries(
                st.sampled_from(["LEFT_HAND_LANDMARKS", "FACE_LANDMARKS/33", "POSE_LANDMARKS"]), st.just([1])
            )
        ),
        seed=data.draw(st.integers(0, 99)),
    )
    names = [component.name for component in pose.header.components]
    kept = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    points = {
        component.name: data.draw(st.lists(st.sampled_from(component.points), min_size=1, unique=True))
        for component in pose.header.components
        if component.name in kept and data.draw(st.booleans())
    }
    assert_mirrors_as_the_library_does(pose.get_components(kept, points))


@pytest.mark.parametrize("clip", CLIPS)
def test_a_mirror_image_mirrored_is_the_pose(clip, golden_bytes):
    pose = poses.read(golden_bytes(clip))
    again = mirror(mirror(pose))
    np.testing.assert_allclose(again.body.data.data, pose.body.data.data, atol=1e-3)  # of 500 pixels
    np.testing.assert_array_equal(again.body.confidence, pose.body.confidence)


def test_missing_points_keep_their_stored_value(make_pose):
    pose = make_pose(
        3, missing={"LEFT_HAND_LANDMARKS": [1]}, components=["LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS"]
    )
    pose.body.data.data[1, 0, 5] = (7, 8, 9)
    image = mirror(pose)
    assert image.body.data.data[1, 0, 21:].any(axis=-1).sum() == 1
    assert image.body.data.data[1, 0, 26].tolist() == [7, 8, 9]


def test_a_pose_of_another_format_is_not_mirrored(make_pose):
    with pytest.raises(PoseLayoutError, match="only holistic poses can be mirrored; the pose has pose_keypoints_2d"):
        mirror(make_pose(components={"pose_keypoints_2d": ["Nose"]}))


@pytest.mark.parametrize("kind", ["signclip", "fingerclip", "signclip_depth"])
@pytest.mark.parametrize("anonymize", [False, True])
def test_flipped_features_are_those_of_the_mirror_image(
    kind, anonymize, golden_bytes, authors_features, relative_error
):
    pose = poses.read(golden_bytes("house"))
    features = extract(pose, kind, FeatureOptions(flip="always", anonymize=anonymize))
    assert relative_error(features, authors_features(pose, kind, flip=True, anonymize=anonymize)) <= 1e-5
    assert relative_error(features, extract(mirror(pose), kind, FeatureOptions(anonymize=anonymize))) <= 1e-6
    assert relative_error(features, extract(pose, kind, FeatureOptions(anonymize=anonymize))) > 0.01


def test_an_absent_hand_is_absent_from_flipped_features(make_pose):
    pose = make_pose(missing={"RIGHT_HAND_LANDMARKS": slice(None)})
    left_hand = extract(pose, "signclip", FeatureOptions(flip="auto")).reshape(-1, 203, 3)[:, 161:182]
    assert not left_hand.any()


@pytest.mark.parametrize(
    ("change", "flipped"),
    [
        (lambda hand, confidence: None, False),
        (lambda hand, confidence: hand.fill(0), True),
        (lambda hand, confidence: (hand.fill(0), confidence.fill(0)), True),
        (lambda hand, confidence: hand.fill(233.7), True),
        (lambda hand, confidence: hand.fill(np.nan), True),
        (lambda hand, confidence: (hand.fill(50), hand[:1].fill(50.001)), False),
        (lambda hand, confidence: (hand[1:].fill(0), confidence[1:].fill(0)), False),
    ],
    ids=["moving", "zero", "missing", "still", "NaN", "hardly moving", "seen once"],
)
def test_auto_flips_when_the_right_hand_never_moves(change, flipped, make_pose):
    pose = make_pose(73)
    change(pose.body.data.data[:, 0, -54:-33], pose.body.confidence[:, 0, -54:-33])
    assert never_moves(pose, 0) is flipped
    features = extract(pose, "signclip", FeatureOptions(flip="auto"))
    np.testing.assert_array_equal(
        features, extract(pose, "signclip", FeatureOptions(flip="always" if flipped else "never"))
    )


def test_auto_looks_at_the_chosen_person(make_pose):
    pose = make_pose(people=2)
    pose.body.data[:, 1, -54:-33] = 0
    for person, flip in enumerate(["never", "always"]):
        np.testing.assert_array_equal(
            extract(pose, "signclip", FeatureOptions(flip="auto", person=person)),
            extract(pose, "signclip", FeatureOptions(flip=flip, person=person)),
        )


@pytest.mark.parametrize("clip", CLIPS)
def test_the_active_hand_is_the_librarys(clip, golden_bytes):
    pose = poses.read(golden_bytes(clip))
    assert find_active_hand(pose) == estimate_active_hand(pose).lower() == "right"
    assert find_active_hand(mirror(pose)) == "left"


@pytest.mark.parametrize("frames", [1, 20, 80])
@pytest.mark.parametrize("seed", range(8))
def test_the_active_hand_is_the_librarys_where_points_are_missing(make_pose, frames, seed):
    rng = np.random.default_rng(seed)
    pose = make_pose(frames=frames)
    pose.body.confidence[rng.random(pose.body.confidence.shape) < rng.uniform(0, 0.9)] = 0
    pose.body.data[rng.random(pose.body.data.shape) < 0.02] = np.nan
    values = np.asarray(pose.body.data)
    masked = Pose(pose.header, NumPyPoseBody(pose.body.fps, values, pose.body.confidence))
    assert find_active_hand(pose) == estimate_active_hand(masked).lower()


def test_the_active_hand_is_the_chosen_persons(make_pose):
    pose = make_pose(people=2)
    pose.body.confidence[:, 0, -54:-33] = 0
    pose.body.confidence[:, 1, -75:-54] = 0
    assert find_active_hand(pose, 0) == "left"
    assert find_active_hand(pose, 1) == "right"
    with pytest.raises(poses.PersonError):
        find_active_hand(pose)


@pytest.mark.parametrize(
    "layout",
    [
        {"pose_keypoints_2d": ["Nose"]},
        {"pose_keypoints_2d": ["Nose"], "LEFT_HAND_LANDMARKS": ["WRIST"]},
        {"LEFT_HAND_LANDMARKS": ["WRIST"], "RIGHT_HAND_LANDMARKS": ["WRIST"]},
        {"SOMETHING": ["A"]},
    ],
)
def test_no_active_hand_in_other_layouts(layout, make_pose):
    assert find_active_hand(make_pose(components=layout)) is None


def test_no_active_hand_when_none_is_seen(make_pose):
    missing = {"LEFT_HAND_LANDMARKS": slice(None), "RIGHT_HAND_LANDMARKS": slice(None)}
    assert find_active_hand(make_pose(missing=missing)) is None


def as_the_authors_ask(pose):
    return np.nan_to_num(pose.get_components(["RIGHT_HAND_LANDMARKS"]).body.data).var(axis=0).sum() == 0


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("unseen", [(), (0,), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize("still", [False, True])
def test_the_authors_rule_is_theirs_on_masked_arrays(make_pose, frames, unseen, still):
    missing = {"RIGHT_HAND_LANDMARKS": [frame for frame in unseen if frame < frames]}
    pose = make_pose(frames, missing=missing)
    if still:
        pose.body.data.data[:] = pose.body.data.data[:1]
    # Their comparison gives a masked value, which counts as false, where every point is masked.
    assert never_moves_where_seen(pose, 0) == bool(as_the_authors_ask(pose))
    assert is_flipped(pose, FeatureOptions(flip="authors")) == never_moves_where_seen(pose, 0)


def test_the_authors_rule_never_mirrors_a_hand_that_was_not_seen(make_pose):
    pose = make_pose(3, missing={"RIGHT_HAND_LANDMARKS": [0, 1, 2]})
    pose.body.data.data[...] = np.where(pose.body.confidence[..., None] == 0, 0, pose.body.data.data)
    assert never_moves(pose, 0)
    assert not never_moves_where_seen(pose, 0)
