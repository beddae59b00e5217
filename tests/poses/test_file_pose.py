"""Bodies whose mask is made when somebody asks for it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

from poses.features import FeatureOptions, extract
from poses.file_pose import FileBody, FilePose, get_stored
from poses.quality import find_warnings
from poses.reading import read
from poses.trim import cut_frames


@pytest.fixture
def pose(golden_bytes: Callable[[str], bytes]) -> FilePose:
    return read(golden_bytes("house"))


def test_features_and_warnings_make_no_mask(pose: FilePose, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_body: FileBody) -> None:
        raise AssertionError("somebody asked for the mask")

    monkeypatch.setattr(FileBody, "data", property(refuse))
    assert len(extract(pose, "signclip", FeatureOptions(flip="auto"))) == 73
    assert find_warnings(pose) == ()


def test_the_mask_shares_the_stored_values(pose: FilePose) -> None:
    assert pose.body.data.mask.any()
    pose.body.data[3] = 7
    assert (get_stored(pose)[3] == 7).all()


def test_what_replaces_the_values_is_what_is_stored(pose: FilePose) -> None:
    pose.body.data = pose.body.data * 2
    expected = np.asarray(pose.body.data)
    np.testing.assert_array_equal(get_stored(pose), expected)
    twin = Pose(pose.header, NumPyPoseBody(pose.body.fps, expected, pose.body.confidence))
    np.testing.assert_array_equal(extract(pose, "signclip"), extract(twin, "signclip"))


def test_a_body_that_another_is_made_of_keeps_its_mask(pose: FilePose) -> None:
    # NumPy's masked arrays have no types.
    masked: Any = np.ma.masked_less(np.array(pose.body.data.data), 100)  # type: ignore[no-untyped-call]
    body = FileBody(25, masked, pose.body.confidence)
    expected = NumPyPoseBody(25, masked, pose.body.confidence)
    np.testing.assert_array_equal(body.data.mask, expected.data.mask)
    assert body.data.mask.sum() > pose.body.data.mask.sum()


@pytest.mark.parametrize("asked", [False, True])
def test_cut_bodies_equal_a_cut_mask(pose: FilePose, asked: bool) -> None:
    expected = NumPyPoseBody(25, np.array(get_stored(pose)[5:9]), pose.body.confidence[5:9])
    if asked:
        assert pose.body.data is pose.body.data
    cut = cut_frames(pose, 5, 9).body
    np.testing.assert_array_equal(cut.data.mask, expected.data.mask)
    np.testing.assert_array_equal(cut.data.data, expected.data.data)
    assert np.shares_memory(cut.data.data, get_stored(pose))


def test_a_body_goes_to_another_process(pose: FilePose) -> None:
    again = pickle.loads(pickle.dumps(pose))
    np.testing.assert_array_equal(get_stored(again), get_stored(pose))
    np.testing.assert_array_equal(again.body.data.mask, pose.body.data.mask)
