"""One person's points, chosen from a pose by name and put in a given order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.pose_header import PoseHeader

from poses.errors import PersonError, PoseEmptyError, PoseLayoutError
from poses.file_pose import get_stored
from poses.landmarks import (
    LEFT_SHOULDER,
    LEG_POINTS,
    RIGHT_SHOULDER,
    Point,
    mirror_point,
)
from poses.layouts import LayoutKey, recognize_layout

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Selection:
    """Points in the order in which a clip holds them. Compared by identity, so that it is a cheap cache key."""

    points: tuple[Point, ...]

    @cached_property
    def shoulders(self) -> tuple[int, int]:
        """Where the right and the left shoulder are."""
        return self.points.index(RIGHT_SHOULDER), self.points.index(LEFT_SHOULDER)

    @cached_property
    def legs(self) -> Indexes:
        """Where the points are that the authors blank: intp (legs,)."""
        return np.array([i for i, point in enumerate(self.points) if point in LEG_POINTS], dtype=np.intp)

    @cached_property
    def mirror(self) -> Selection:
        """The points that a mirrored pose shows under these names."""
        return Selection(tuple(mirror_point(point) for point in self.points))

    @lru_cache(maxsize=16)  # noqa: B019 (selections live as long as the module)
    def positions(self, points: tuple[Point, ...]) -> Indexes:
        """Where the given points are: intp (points,)."""
        return np.array([self.points.index(point) for point in points], dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Clip:
    """One person's points, in memory of their own.

    Attributes:
        selection: which points.
        values: float32 (frames, points, 3), finite: x and y in pixels, z as stored. A missing point keeps its stored
            value. float64 after anonymization, which computes in it.
        missing: bool (frames, points), True where the confidence is 0 or a number is not finite.
    """

    selection: Selection
    values: Floats
    missing: npt.NDArray[np.bool_]


def choose_person(pose: Pose, person: int | None) -> int:
    """Check the choice of a person; without a choice, take the only person.

    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
    """
    frames, people = pose.body.confidence.shape[:2]
    if frames == 0 or people == 0:
        raise PoseEmptyError(f"{frames} frames of {people} people; at least 1 of each is needed")
    if person is None:
        if people > 1:
            raise PersonError(f"{people} people and none chosen; give person, 0 to {people - 1}")
        return 0
    if not 0 <= person < people:
        raise PersonError(f"person {person} of {people}; give 0 to {people - 1}")
    return person


def select(pose: Pose, person: int, selection: Selection, *, flip: bool = False) -> Clip:
    """Copy a person's points out of a pose, mirrored if asked.

    A mirrored clip takes each point from its counterpart and reflects x in the image. Missing points keep their stored
    value, 0 from every estimator: pose-format's mirror_horizontal would leave the image's width under the mask, and
    features, which read what is stored there, would show an absent hand hundreds of shoulder widths away. A point with
    a number that is not finite is missing, and its value is 0.

    Args:
        pose: any pose that has the points; not changed.
        person: index of the person.
        selection: which points, in which order.
        flip: mirror the clip, as if the image had been flipped left to right.
    Raises:
        PoseLayoutError: a point is not in the layout, or has other coordinates than x, y and z.
    """
    source = selection.mirror if flip else selection
    index = _indexes(make_layout_key(pose.header), source)
    values = _take(get_stored(pose)[:, person], index).astype(np.float32, copy=False)
    confidence = _take(pose.body.confidence[:, person], index)  # frames, points
    missing = confidence == 0
    if not (np.isfinite(values).all() and np.isfinite(confidence).all()):  # of a pose that poses.read did not check
        broken = ~np.isfinite(values).all(axis=-1) | ~np.isfinite(confidence)
        values[broken] = 0
        missing |= broken
    if flip:
        x = values[..., 0]
        np.subtract(np.float32(pose.header.dimensions.width), x, out=x, where=~missing)
    return Clip(selection, values, missing)


def _take(rows: npt.NDArray[Any], index: slice | Indexes) -> npt.NDArray[Any]:
    """Copy points out of (frames, points, …)."""
    return rows[:, index].copy() if isinstance(index, slice) else np.take(rows, index, axis=1)


def see_both(seen: npt.NDArray[np.bool_], places: Indexes) -> npt.NDArray[np.bool_]:
    """Find the frames in which two points are seen: bool (frames,) of bool (frames, points)."""
    first, second = places.tolist()
    both: npt.NDArray[np.bool_] = seen[:, first] & seen[:, second]
    return both


def take_xy(
    values: Floats, places: Indexes | tuple[int, ...], frames: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Take x and y of some points in some frames, in rows of one point each: along them NumPy is fastest.

    Args:
        values: (frames, points, dims), of two or more dims.
        places: of the points.
        frames: bool (frames,), those to take.
    Returns:
        float64 (2, places, taken frames), in memory of its own.
    """
    return values.take(places, axis=1).compress(frames, axis=0).T[:2].astype(np.float64, order="C")


def make_layout_key(header: PoseHeader) -> LayoutKey:
    """Describe a layout in hashable form: equal keys have their points in equal places."""
    return tuple((component.name, component.format, tuple(component.points)) for component in header.components)


# A few layouts are in use at a time.
@lru_cache(maxsize=32)
def find_places(layout: LayoutKey) -> Mapping[Point, int]:
    """Find where each point of a layout is in a frame."""
    places: dict[Point, int] = {}
    start = 0
    for component, _, names in layout:
        for offset, name in enumerate(names):
            places.setdefault(Point(component, name), start + offset)
        start += len(names)
    return MappingProxyType(places)


# A selection and its mirror image for each feature kind and each of a few layouts in use at a time.
@lru_cache(maxsize=64)
def _indexes(layout: LayoutKey, selection: Selection) -> slice | Indexes:
    check_selection(layout, selection)
    places = find_places(layout)
    # Legs may be absent, because they are blanked anyway: a pose without them has all that is measured.
    stand_in = next(iter(places[point] for point in selection.points if point in places))
    index = np.array([places.get(point, stand_in) for point in selection.points], dtype=np.intp)
    index.flags.writeable = False
    start, end = int(index[0]), int(index[0]) + len(index)
    # Points that follow each other, as in a file with nothing but these, are copied several times faster.
    return slice(start, end) if np.array_equal(index, np.arange(start, end)) else index


def check_selection(layout: LayoutKey, selection: Selection) -> None:
    """Refuse a layout that lacks points of a selection.

    Raises:
        PoseLayoutError: it names what is missing, where the layout seems to come from, and what to do.
    """
    lacks = find_lacks(layout, selection)
    if lacks is not None:
        known = recognize_layout(layout)
        raise PoseLayoutError(f"{lacks}. This looks like {known.name}: {known.advice}")


@lru_cache(maxsize=64)
def find_lacks(layout: LayoutKey, selection: Selection) -> str | None:
    """Say what a layout lacks of a selection; None if it has everything. Points of the legs may be missing."""
    formats = {component: point_format for component, point_format, _ in layout}
    present = {Point(component, name) for component, _, names in layout for name in names}
    needed = [point for point in selection.points if point not in LEG_POINTS]
    for component in dict.fromkeys(point.component for point in needed):
        if component not in formats:
            return f"component {component} is missing; the pose has {_shown(list(formats))}"
        if formats[component] != "XYZC":
            return f"component {component} has format {formats[component]}; XYZC is needed"
    missing = [f"{point.component} {point.name}" for point in needed if point not in present]
    if not missing:
        return None
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"points missing from the layout: {', '.join(missing[:3])}{more}"


def _shown(names: list[str]) -> str:
    # Names come from the file and go into messages: a few of them, and short enough for one line.
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(name if len(name) <= 40 else name[:40] + "…" for name in names[:6]) + more
