"""A pose that was read from a file, with what its numbers hid."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader


class FileBody(NumPyPoseBody):  # type: ignore[misc]  # pose_format has no types
    """The numbers of a file, whose mask is made when somebody asks for it.

    Features and warnings look at stored numbers and confidences alone. The mask of a clip takes longer than reading it.

    Args:
        fps: frames per second.
        data: float32 (frames, people, points, dims); masked by functions of pose-format, which make bodies like this.
        confidence: float32 (frames, people, points).
    """

    def __init__(self, fps: float, data: npt.NDArray[np.float32], confidence: npt.NDArray[np.float32]) -> None:
        self.fps = fps
        self.confidence = confidence
        self._values = data
        is_masked = isinstance(data, np.ma.MaskedArray)
        self._masked: Any = NumPyPoseBody(fps, data, confidence).data if is_masked else None

    @property
    def data(self) -> Any:
        """The values, masked where the confidence is 0: a masked float32 array (frames, people, points, dims)."""
        if self._masked is None:
            self._masked = NumPyPoseBody(self.fps, self._values, self.confidence).data
        return self._masked

    @data.setter
    def data(self, data: Any) -> None:
        self._masked = data

    @property
    def stored(self) -> npt.NDArray[np.float32]:
        """The values without a mask: float32 (frames, people, points, dims), which share the memory of `data`."""
        return self._values if self._masked is None else np.asarray(self._masked)

    def cut(self, start: int, end: int) -> NumPyPoseBody:
        """Cut to the frames from start up to end, which is not part of it; the arrays are views of this body's own."""
        if self._masked is None:
            return FileBody(self.fps, self._values[start:end], self.confidence[start:end])
        return NumPyPoseBody(self.fps, self._masked[start:end], self.confidence[start:end])


class FilePose(Pose):  # type: ignore[misc]  # pose_format has no types
    """A pose that was read by poses.reading.

    Attributes:
        not_finite: bool (frames, people, points): where a point that the file calls seen has a coordinate or a
            confidence that is NaN or infinite. It counts as not seen. None if there is no such point.
    """

    def __init__(self, header: PoseHeader, body: NumPyPoseBody, *, not_finite: npt.NDArray[np.bool_] | None) -> None:
        super().__init__(header, body)
        self.not_finite = not_finite


def get_stored(pose: Pose) -> npt.NDArray[Any]:
    """Get a pose's values as they are stored, also where a point is missing: (frames, people, points, dims)."""
    body = pose.body
    return body.stored if isinstance(body, FileBody) else np.asarray(body.data)
