"""The kinds of features that models take: which points of a pose, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from poses.errors import FeatureKindError
from poses.hand_frame import turn_right_hand
from poses.landmarks import (
    BODY_POINTS,
    FACE_POINTS,
    FULL_FACE_POINTS,
    LEFT_HAND_POINTS,
    LEFT_SHOULDER,
    RIGHT_HAND_POINTS,
    RIGHT_SHOULDER,
    Point,
)
from poses.points import Floats, Selection
from poses.sign_vq import POINTS as SIGN_VQ_POINTS
from poses.sign_vq import hands_from_wrists, standardize

# The order is the authors': it decides which feature is which.
_WHOLE = Selection((*BODY_POINTS, *FACE_POINTS, *LEFT_HAND_POINTS, *RIGHT_HAND_POINTS))
_FULL_FACE = Selection((*BODY_POINTS, *FULL_FACE_POINTS, *LEFT_HAND_POINTS, *RIGHT_HAND_POINTS))
_HAND_POINTS = (*LEFT_HAND_POINTS, *RIGHT_HAND_POINTS)
_HANDS_AND_SHOULDERS = Selection((RIGHT_SHOULDER, LEFT_SHOULDER, *_HAND_POINTS))
_RIGHT_HAND_AND_SHOULDERS = Selection((RIGHT_SHOULDER, LEFT_SHOULDER, *RIGHT_HAND_POINTS))


@dataclass(frozen=True)
class FeatureKind:
    """A way to turn a pose into features.

    Attributes:
        name: as in the model catalog.
        version: part of an embedding's signature; raised whenever a number changes.
        dim: features a frame.
        description: for people.
        points: what a frame's features hold, in order, three coordinates each.
        measured: what is read from the pose, which includes the shoulders.
        depth_in_pixels: multiply z by the image's width first.
        finish: the last step. It gets the normalized values (frames, points, 3), which of them are missing
            (frames, points), and which points they are; it may change the first two.
        mirrors: whether a mirrored pose has these features with sides swapped and x negated.
    """

    name: str
    version: int
    dim: int
    description: str
    points: tuple[Point, ...]
    measured: Selection
    depth_in_pixels: bool = False
    finish: Callable[[Floats, npt.NDArray[np.bool_], Selection], Floats] | None = None
    mirrors: bool = True


_KINDS = (
    FeatureKind(
        name="signclip",
        version=1,
        dim=609,
        description="body, face contours and both hands, in shoulder widths",
        points=_WHOLE.points,
        measured=_WHOLE,
    ),
    FeatureKind(
        name="fingerclip",
        version=1,
        dim=63,
        description="the right hand, in shoulder widths",
        points=RIGHT_HAND_POINTS,
        measured=_RIGHT_HAND_AND_SHOULDERS,
    ),
    FeatureKind(
        name="signclip_depth",
        version=1,
        dim=609,
        description="as signclip, with z in the unit of x and y",
        points=_WHOLE.points,
        measured=_WHOLE,
        depth_in_pixels=True,
    ),
    FeatureKind(
        name="signclip_full_face",
        version=1,
        dim=1629,
        description="body, the whole face and both hands, in shoulder widths",
        points=_FULL_FACE.points,
        measured=_FULL_FACE,
    ),
    FeatureKind(
        name="signclip_reduced",
        version=1,
        dim=534,
        description="body without hands and face, face contours, both hands from their wrists, in shoulder widths",
        points=SIGN_VQ_POINTS,
        measured=Selection(SIGN_VQ_POINTS),
        finish=hands_from_wrists,
    ),
    FeatureKind(
        name="signclip_standardized",
        version=1,
        dim=534,
        description="as signclip_reduced, each number by its mean and standard deviation in Spreadthesign",
        points=SIGN_VQ_POINTS,
        measured=Selection(SIGN_VQ_POINTS),
        finish=standardize,
        mirrors=False,
    ),
    FeatureKind(
        name="fingerclip_3d",
        version=1,
        dim=63,
        description="the right hand turned into the picture's plane, a hundredth of a palm's length",
        points=RIGHT_HAND_POINTS,
        measured=_RIGHT_HAND_AND_SHOULDERS,
        finish=turn_right_hand,
        mirrors=False,
    ),
    FeatureKind(
        name="fingerclip_both_hands",
        version=1,
        dim=126,
        description="both hands, in shoulder widths",
        points=_HAND_POINTS,
        measured=_HANDS_AND_SHOULDERS,
    ),
)
FEATURE_KINDS: Mapping[str, FeatureKind] = MappingProxyType({kind.name: kind for kind in _KINDS})


def find_kind(kind: str) -> FeatureKind:
    """Find a kind of features by its name.

    Raises:
        FeatureKindError: there is no such kind.
    """
    if kind not in FEATURE_KINDS:
        raise FeatureKindError(f"no features named {kind!r}; there are {', '.join(FEATURE_KINDS)}")
    return FEATURE_KINDS[kind]


def choose_measured(kind: FeatureKind, *, anonymize: bool) -> Selection:
    """Choose the points that are read from a pose for a kind of features.

    Anonymization compares the body, and gives wrists and shoulders back in relation to the whole.
    """
    return _WHOLE if anonymize and not set(_WHOLE.points) <= set(kind.measured.points) else kind.measured
