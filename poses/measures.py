"""What is measured of one person's clip, for its report and its warnings."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pose_format import Pose

from poses.file_pose import FilePose, get_stored
from poses.parts import find_parts
from poses.points import Floats, Indexes, see_both, take_xy


class Measures:
    """One person's coordinates, and the shares of frames in which parts of the body are seen."""

    def __init__(self, pose: Pose, person: int) -> None:
        self.confidence = pose.body.confidence[:, person]  # frames, points
        self.values = get_stored(pose)[:, person]  # frames, points, dims
        self.parts = find_parts(pose.header)
        self.size = pose.header.dimensions
        seen: npt.NDArray[np.bool_] = self.confidence != 0
        self.not_finite: npt.NDArray[np.int64] = np.zeros(seen.shape[1], dtype=np.int64)  # points
        # Over rows of a frame, NumPy's fastest way: from them follows much that would take another look at all numbers.
        rows = self.values.reshape(len(self.values), -1)
        self.highest = rows.max(axis=0).reshape(self.values.shape[1:])  # points, dims; NaN where a frame has one
        self.lowest = rows.min(axis=0).reshape(self.values.shape[1:])
        self.confidences = float(self.confidence.min()), float(self.confidence.max())
        if not (np.isfinite([self.highest, self.lowest]).all() and np.isfinite(self.confidences).all()):
            broken = seen & ~(np.isfinite(self.values).all(axis=-1) & np.isfinite(self.confidence))
            self.not_finite += broken.sum(axis=0)
            seen &= ~broken
        if isinstance(pose, FilePose) and pose.not_finite is not None:
            self.not_finite += pose.not_finite[:, person].sum(axis=0)
        self.seen = seen
        self.left_hand = self._measure_share(self.parts.left_hand)
        self.right_hand = self._measure_share(self.parts.right_hand)
        self.shoulders, self.body = None, None
        if len(self.parts.shoulders):
            together = see_both(seen, self.parts.shoulders)
            self.shoulders, self.body = _share(together), self._measure_body(together)

    @property
    def face(self) -> float | None:
        """Share of frames in which a point of the face is seen; None if the layout has no face."""
        return self._measure_share(self.parts.face)

    def _measure_share(self, places: Indexes) -> float | None:
        return _share(look_at(self.seen, places).any(axis=1)) if len(places) else None

    def _measure_body(self, together: npt.NDArray[np.bool_]) -> tuple[float, float, float] | None:
        """Measure x and y of the point between the shoulders, and their distance; None if there is no distance."""
        if not together.any() or self.values.shape[-1] < 2:
            return None
        shoulders = take_xy(self.values, self.parts.shoulders, together)  # x and y, points, frames
        count = shoulders.shape[-1]
        x_apart, y_apart = shoulders[:, 0] - shoulders[:, 1]
        # A sum and its count: NumPy's `mean` takes three times as long to begin.
        width = float(np.sqrt(x_apart * x_apart + y_apart * y_apart).sum()) / count
        x, y = (shoulders.sum(axis=(1, 2)) / (2 * count)).tolist()
        return (x, y, width) if math.isfinite(width) and width > 0 else None

    def bound_reach(self) -> float:
        """What `measure_reach` is at most, in a tenth of its time: the same with points that are not seen."""
        if self.body is None:
            return 0.0
        highest, lowest = self.highest[self.parts.in_image], self.lowest[self.parts.in_image]  # points, dims
        # One coordinate after another, because NumPy is slow along a last axis of two.
        sides = [
            side
            for axis, center in enumerate(self.body[:2])
            for side in (
                float(highest[:, axis].max(initial=-math.inf)) - center,
                center - float(lowest[:, axis].min(initial=math.inf)),
            )
        ]
        return math.nan if any(map(math.isnan, sides)) else max(0.0, *sides)

    def never_moves(self, places: Indexes) -> bool:
        """Whether points are in one place in all frames; False if a number is NaN."""
        return bool((self.highest[places] == self.lowest[places]).all())

    def measure_reach(self) -> float:
        """How far the farthest seen point of the image is from between the shoulders, along x or y, as stored.

        0 where the shoulders give no measure.
        """
        return (
            float(np.maximum(*self._measure_distances(self.values)).max(initial=0.0)) if self.body is not None else 0.0
        )

    def measure_farthest(self) -> float:
        """How far the farthest seen point of the image is from between the shoulders; 0 without a measure."""
        if self.body is None:
            return 0.0
        # The squares of what float32 holds need float64.
        return float(
            np.hypot(*self._measure_distances(self.values[..., :2].astype(np.float64))).max(initial=0.0) / self.body[2]
        )

    def _measure_distances(self, values: Floats) -> tuple[Floats, Floats]:
        """How far points are from between the shoulders along x and y, (frames, points) each; 0 where not seen."""
        center_x, center_y, _ = self.body or (0.0, 0.0, 0.0)
        values, unseen = values[:, self.parts.in_image], ~self.seen[:, self.parts.in_image]
        with np.errstate(over="ignore", invalid="ignore"):  # stored values of points that are not seen may be anything
            x, y = np.abs(values[..., 0] - center_x), np.abs(values[..., 1] - center_y)
        x[unseen] = y[unseen] = 0
        return x, y


def look_at(of_points: npt.NDArray[np.bool_], places: Indexes) -> npt.NDArray[np.bool_]:
    """Look at points, given in ascending order, of bool (frames, points); without a copy where they are neighbours."""
    if len(places) and places[-1] - places[0] == len(places) - 1:
        return of_points[:, places[0] : places[-1] + 1]
    return of_points.take(places, axis=1)


def _share(frames: npt.NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(frames)) / len(frames)
