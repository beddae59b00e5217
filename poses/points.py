"""One person's points, chosen from a pose by name and put in a given order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.pose_header import PoseHeader

from poses.errors import PersonError, PoseEmptyError, PoseLayoutError
from poses.landmarks import (
    LEFT_SHOULDER,
    LEG_POINTS,
    RIGHT_SHOULDER,
    Point,
    mirrored,
)

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]
LayoutKey = tuple[tuple[str, str, tuple[str, ...]], ...]


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
        """Where the points are that the authors blank."""
        return np.array([i for i, point in enumerate(self.points) if point in LEG_POINTS], dtype=np.intp)

    @cached_property
    def mirror(self) -> Selection:
        """The points that a mirrored pose shows under these names."""
        return Selection(tuple(mirrored(point) for point in self.points))

    @lru_cache(maxsize=16)  # noqa: B019 (selections live as long as the module)
    def positions(self, points: tuple[Point, ...]) -> Indexes:
        """Where the given points are."""
        return np.array([self.points.index(point) for point in points], dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Clip:
    """One person's points, nobody else's memory.

    Attributes:
        selection: which points.
        values: float32 (frames, points, 3): x and y in pixels, z as stored; a missing point keeps its stored value.
            float64 after anonymization, which computes in it.
        missing: bool (frames, points), True where the confidence is 0.
    """

    selection: Selection
    values: Floats
    missing: npt.NDArray[np.bool_]


def choose_person(pose: Pose, person: int | None) -> int:
    """Check the choice of a person, or make it where there is only one.

    Raises:
        PersonError: several people and none chosen, or the chosen one is not there.
        PoseEmptyError: no frames or no people.
    """
    frames, people = pose.body.data.shape[:2]
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
    features, which read what is stored there, would show an absent hand hundreds of shoulder widths away.

    Args:
        pose: any pose that has the points; not changed.
        person: index of the person.
        selection: which points, in which order.
        flip: mirror the clip, as if the image had been flipped left to right.
    Raises:
        PoseLayoutError: a point is not in the layout, or has other coordinates than x, y and z.
    """
    source = selection.mirror if flip else selection
    index = _indexes(layout_key(pose.header), source)
    values = np.take(np.asarray(pose.body.data)[:, person], index, axis=1).astype(np.float32, copy=False)
    missing = np.take(pose.body.confidence[:, person], index, axis=1) == 0  # frames, points
    if flip:
        x = values[..., 0]
        np.subtract(np.float32(pose.header.dimensions.width), x, out=x, where=~missing)
    return Clip(selection, values, missing)


def layout_key(header: PoseHeader) -> LayoutKey:
    """What decides where a point is, in hashable form."""
    return tuple((component.name, component.format, tuple(component.points)) for component in header.components)


# A selection and its mirror image for each feature kind and each of a few layouts in use at a time.
@lru_cache(maxsize=64)
def _indexes(layout: LayoutKey, selection: Selection) -> Indexes:
    places: dict[Point, int] = {}
    formats: dict[str, str] = {}
    start = 0
    for component, point_format, names in layout:
        formats[component] = point_format
        for offset, name in enumerate(names):
            places.setdefault(Point(component, name), start + offset)
        start += len(names)
    _check_layout(selection.points, places, formats)
    # Legs may be absent, for they are blanked anyway: a reduced pose without them still has all that is measured.
    stand_in = next(iter(places[point] for point in selection.points if point in places))
    index = np.array([places.get(point, stand_in) for point in selection.points], dtype=np.intp)
    index.flags.writeable = False
    return index


def _check_layout(points: Iterable[Point], places: dict[Point, int], formats: dict[str, str]) -> None:
    needed = [point for point in points if point not in LEG_POINTS]
    for component in dict.fromkeys(point.component for point in needed):
        if component not in formats:
            raise PoseLayoutError(f"component {component} is missing; the pose has {', '.join(formats)}")
        if formats[component] != "XYZC":
            raise PoseLayoutError(f"component {component} has format {formats[component]}; XYZC is needed")
    missing = [f"{point.component} {point.name}" for point in needed if point not in places]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise PoseLayoutError(f"points missing from the layout: {', '.join(missing[:3])}{more}")
