"""A pose that was read from a file, with what its numbers hid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader


class FilePose(Pose):  # type: ignore[misc]  # pose_format has no types
    """A pose that was read by poses.reading.

    Attributes:
        not_finite: bool (frames, people, points): where a point that the file calls seen has a coordinate or a
            confidence that is NaN or infinite. It counts as not seen. None if there is no such point.
    """

    def __init__(self, header: PoseHeader, body: NumPyPoseBody, *, not_finite: npt.NDArray[np.bool_] | None) -> None:
        super().__init__(header, body)
        self.not_finite = not_finite
