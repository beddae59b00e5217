"""Whatever the bytes, reading and all that follows end in numbers or in a PoseError."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import poses
from poses import FEATURE_KINDS, FeatureOptions, PoseError, read

# Small enough for every field to be hit often, and yet all that the features need.
FACED = ("POSE_LANDMARKS", "FACE_LANDMARKS", "LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")


@st.composite
def mutated(draw, original: bytes):
    data = bytearray(original)
    sizes = ["insert", "delete", "cut", "append", "repeat"]  # all but certain to be refused
    kinds = draw(st.sampled_from([["flip"], ["float"], ["flip", "field", "float"], ["flip", "field", "float", *sizes]]))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.one_of(st.integers(0, min(len(data), len(original) // 5)), st.integers(0, len(data))))
        kind = draw(st.sampled_from(kinds))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "field":
            data[at : at + 2] = struct.pack("<H", draw(st.sampled_from([0, 1, 2, 255, 4096, 32_768, 65_535])))
        elif kind == "float":
            values = [0.0, -1.0, 1e-45, 1e30, 3.4e38, float("nan"), float("inf")]
            data[at : at + 4] = struct.pack("<f", draw(st.sampled_from(values)))
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "cut":
            del data[at:]
        elif kind == "append":
            data += draw(st.binary(min_size=1, max_size=9))
        elif kind == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 200))]
    return bytes(data)


@pytest.mark.parametrize("version", [0.1, 0.2])
@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_mutated_files_give_a_pose_or_a_pose_error(version, data, make_pose, to_bytes):
    whole = to_bytes(make_pose(2, face_points=128, components=list(FACED)), version=version)
    changed = data.draw(mutated(whole))
    tracemalloc.start()
    try:
        pose = read(changed)
    except PoseError:
        pose = None
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000 + 20 * len(changed)
    event("refused" if pose is None else "read")
    if pose is None:
        return
    frames, people, points, dims = pose.body.data.shape
    assert frames > 0
    assert people > 0
    assert points == pose.header.total_points()
    assert dims == pose.header.num_dims()
    assert np.isfinite(pose.body.data.data).all()
    assert np.isfinite(pose.body.confidence).all()
    check_what_follows(pose)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_random_bytes_after_a_good_preamble_give_a_pose_error(data):
    with pytest.raises(PoseError):
        read(struct.pack("<fHHH", 0.2, 640, 480, 0) + data)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_extreme_numbers_give_finite_features_or_a_pose_error(data, make_pose):
    pose = make_pose(2, components=FACED, face_points=128)
    numbers = st.sampled_from([0.0, -0.0, 1e-45, 1e-30, 1e-5, 1e5, 1e30, 3.4e38, -3.4e38])
    points = st.sampled_from([0, 11, 12, 15, 25, 40, 170, 190])  # shoulders are 11 and 12
    for _ in range(data.draw(st.integers(1, 6))):
        frames = data.draw(st.sampled_from([0, 1, slice(None)]))
        axes = data.draw(st.sampled_from([0, 1, 2, slice(None)]))
        pose.body.data[frames, 0, data.draw(points), axes] = data.draw(numbers)
    pose.body.confidence[:, 0, data.draw(points)] = data.draw(st.sampled_from([0, 1e-45, 1, -3e38]))
    check_what_follows(pose)


def check_what_follows(pose):
    """Everything that takes a pose must cope with it, without a warning of NumPy's."""
    report = poses.report(pose)
    if np.isfinite(pose.body.fps) and pose.body.fps > 0:
        assert 0 < report.duration_s <= float("inf")
    else:
        assert report.duration_s is None
    assert np.isfinite(np.asarray(poses.mirror(pose).body.data)).all()
    for kind in FEATURE_KINDS:
        for options in (FeatureOptions(), FeatureOptions(flip="auto", anonymize=True, person=0)):
            try:
                features = poses.extract(pose, kind, options)
            except PoseError:
                continue
            assert np.isfinite(features).all()
