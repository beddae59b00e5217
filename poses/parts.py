"""Where the parts of the body are in a layout, whichever estimator it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pose_format.pose_header import PoseHeader
from pose_format.utils.generic import hands_components, pose_shoulders

from poses.layouts import LayoutKey, build_header
from poses.points import Indexes, make_layout_key

# What the points are called, without regard to case, spaces and underscores, by MediaPipe, OpenPose and COCO.
_HEAD = frozenset({"nose", "lefteye", "righteye", "leye", "reye"})
_HIPS = frozenset({"lefthip", "righthip", "lhip", "rhip"})


@dataclass(frozen=True, eq=False)
class Parts:
    """Places of the points of each part; empty where the layout has no such part.

    Attributes:
        left_hand, right_hand, face: all points of the component.
        shoulders: the right one and the left one; empty unless both are there.
        head: nose and eyes of the body, or else the face.
        hips: empty unless both are there.
        in_image: True for a point that is in the image, False for one in metres from the hips.
        components: the name of each point's component.
    """

    left_hand: Indexes
    right_hand: Indexes
    face: Indexes
    shoulders: Indexes
    head: Indexes
    hips: Indexes
    in_image: slice | Indexes
    components: tuple[str, ...]


def find_parts(header: PoseHeader) -> Parts:
    """Find the parts of the body in a pose's layout."""
    return _find_parts(make_layout_key(header))


# A few layouts are in use at a time.
@lru_cache(maxsize=32)
def _find_parts(layout: LayoutKey) -> Parts:
    places: dict[str, range] = {}
    start = 0
    for component, _, names in layout:
        places[component] = range(start, start + len(names))
        start += len(names)
    header = build_header(layout)
    left, right = _hand_names(header)
    body, shoulders = _shoulders(header)
    face = [place for name, found in places.items() if "face" in name.lower() for place in found]
    points = next((names for name, _, names in layout if name == body), ())
    in_body = {place: _plain(name) for place, name in zip(places.get(body, ()), points, strict=True)}
    head = [place for place, name in in_body.items() if name in _HEAD]
    hips = [place for place, name in in_body.items() if name in _HIPS]
    in_image = [place for name, found in places.items() if "WORLD" not in name for place in found]
    contiguous = in_image == list(range(len(in_image)))
    return Parts(
        left_hand=_indexes(places.get(left, ())),
        right_hand=_indexes(places.get(right, ())),
        face=_indexes(face),
        shoulders=_indexes(shoulders),
        head=_indexes(head or face),
        hips=_indexes(hips if len(hips) == 2 else ()),
        # A slice is looked at where it is; indexes copy what they find.
        in_image=slice(len(in_image)) if contiguous else _indexes(in_image),
        components=tuple(name for name, found in places.items() for _ in found),
    )


def _indexes(places: Iterable[int]) -> Indexes:
    indexes = np.array(list(places), dtype=np.intp)
    indexes.flags.writeable = False
    return indexes


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace(" ", "")


def _hand_names(header: PoseHeader) -> tuple[str, str]:
    """Name the components of the left and the right hand; "" where the format is unknown."""
    try:
        (left, right), _, _ = hands_components(header)
    except (ValueError, NotImplementedError):
        return "", ""
    return left, right


def _shoulders(header: PoseHeader) -> tuple[str, list[int]]:
    """Name the component of the body, "" where the format is unknown, and place the right and the left shoulder."""
    try:
        shoulders = pose_shoulders(header)
    except (ValueError, NotImplementedError):
        return "", []
    try:
        return shoulders[0][0], [header.get_point_index(component, point) for component, point in shoulders]
    except ValueError:  # the body, or one of them, is not in the layout
        return shoulders[0][0], []
