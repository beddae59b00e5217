"""Coordinates that are finite and can be of no body: refused, because a vector of them would look like any other."""

from __future__ import annotations

import numpy as np
import pytest

from poses import FEATURE_KINDS, PoseContentError, extract


@pytest.mark.parametrize("size", [1e9, 1e15, 1e20, 1e25, 1e30, 3e38])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", sorted(FEATURE_KINDS))
def test_a_seen_point_that_is_far_from_the_body_is_refused(make_pose, kind, size, axis):
    pose = make_pose(3)
    pose.body.data[1, 0, -34, axis] = -size  # of the right hand, which every kind takes
    with pytest.raises(PoseContentError, match="1000 shoulder widths from the body"):
        extract(pose, kind)


def test_points_that_were_not_seen_may_hold_any_pixel_and_no_more(make_pose):
    pose = make_pose(4, missing={"LEFT_HAND_LANDMARKS": [1]})
    pose.body.data.data[1, 0, -33 - 42 : -33 - 21] = 8000.0
    assert np.isfinite(extract(pose, "signclip")).all()
    pose.body.data.data[1, 0, -33 - 42 : -33 - 21] = 1e30
    with pytest.raises(PoseContentError, match="1 of 4 frames are too large"):
        extract(pose, "signclip")
