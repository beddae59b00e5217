"""Poses as the numbers a model was trained on: one kind of features for each kind of training.

Equal to the authors' PoseProcessor (J22Melody/fairseq@a8199440, mmpt/processors/dsprocessor_sign.py), which works on
masked arrays; here the same numbers are computed on plain ones, several times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.pose_header import PoseHeader

from poses.anonymize import remove_appearance
from poses.errors import FeatureKindError, PoseContentError, PoseScaleError
from poses.flip import never_moves, never_moves_where_seen
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
from poses.points import (
    Clip,
    Floats,
    Selection,
    check_selection,
    choose_person,
    find_lacks,
    make_layout_key,
    select,
)
from poses.sign_vq import POINTS as SIGN_VQ_POINTS
from poses.sign_vq import hands_from_wrists, standardize

Flip = Literal["never", "auto", "always", "authors"]

# The order is the authors': it decides which feature is which.
_WHOLE = Selection((*BODY_POINTS, *FACE_POINTS, *LEFT_HAND_POINTS, *RIGHT_HAND_POINTS))
_FULL_FACE = Selection((*BODY_POINTS, *FULL_FACE_POINTS, *LEFT_HAND_POINTS, *RIGHT_HAND_POINTS))
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


@dataclass(frozen=True)
class FeatureOptions:
    """What to do to a pose before its features are computed.

    Attributes:
        flip: mirror the clip: ``never``, ``always``, or, with ``auto``, when the right hand never moves. ``authors`` is
            the authors' rule, which leaves out a hand that was never seen; see poses.flip.never_moves_where_seen.
        anonymize: replace the signer's appearance by the average one.
        person: which person, needed when there are several.
    Raises:
        ValueError: flip is another word.
    """

    flip: Flip = "never"
    anonymize: bool = False
    person: int | None = None

    def __post_init__(self) -> None:
        if self.flip not in get_args(Flip):
            raise ValueError(f"flip is {self.flip!r}; one of {', '.join(get_args(Flip))} is needed")


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
)
FEATURE_KINDS: Mapping[str, FeatureKind] = MappingProxyType({kind.name: kind for kind in _KINDS})

_DEFAULT_OPTIONS = FeatureOptions()


def find_layout_lacks(header: PoseHeader, kind: str) -> str | None:
    """Say what a layout lacks for a kind of features; None if it has everything.

    Raises:
        FeatureKindError: there is no such kind.
    """
    return find_lacks(make_layout_key(header), _find_kind(kind).measured)


def check_layout(header: PoseHeader, kind: str) -> None:
    """Refuse a layout that lacks points of a kind of features.

    Raises:
        FeatureKindError: there is no such kind.
        PoseLayoutError: it names what is missing, where the layout seems to come from, and what to do.
    """
    check_selection(make_layout_key(header), _find_kind(kind).measured)


def is_flipped(pose: Pose, options: FeatureOptions) -> bool:
    """Return whether a clip is mirrored before its features are computed.

    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
        PoseLayoutError: the layout has no right hand, and flip is "auto" or "authors".
    """
    if options.flip in ("never", "always"):
        return options.flip == "always"
    asks = never_moves if options.flip == "auto" else never_moves_where_seen
    return asks(pose, choose_person(pose, options.person))


def _find_kind(kind: str) -> FeatureKind:
    if kind not in FEATURE_KINDS:
        raise FeatureKindError(f"no features named {kind!r}; there are {', '.join(FEATURE_KINDS)}")
    return FEATURE_KINDS[kind]


def extract(pose: Pose, kind: str, options: FeatureOptions = _DEFAULT_OPTIONS) -> npt.NDArray[np.float32]:
    """Compute a clip's features.

    The midpoint between the shoulders, averaged over the clip, becomes the origin; their average distance becomes 1.
    Points that are missing keep their stored value, which is 0 in poses from an estimator; legs are 0.

    Args:
        pose: a holistic pose, whole or reduced, points in any order; not changed.
        kind: one of FEATURE_KINDS.
        options: what to do to the pose first, in the order flip, anonymize.
    Returns:
        float32 (frames, dim), C-contiguous and finite, in shoulder widths.
    Raises:
        FeatureKindError: there is no such kind.
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
        PoseLayoutError: the pose lacks a component or a point.
        PoseScaleError: the shoulders are never seen together, or are always in one place.
        PoseContentError: the numbers are too large to be measured in shoulder widths.
    Source: PoseProcessor.__call__ and, for the order of points, its pose_components ``reduced_face``.
    """
    feature_kind = _find_kind(kind)
    person = choose_person(pose, options.person)
    flip = is_flipped(pose, options)
    # Anonymization compares the body, and gives wrists and shoulders back in relation to the whole.
    measured = feature_kind.measured
    if options.anonymize and not set(_WHOLE.points) <= set(measured.points):
        measured = _WHOLE
    clip = select(pose, person, measured, flip=flip)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # results are checked
        if feature_kind.depth_in_pixels:
            _scale_depth(clip, pose.header.dimensions.width)
        if options.anonymize:
            clip = remove_appearance(clip)
        normalized = _normalize(clip)
        if feature_kind.finish is not None:
            normalized = feature_kind.finish(normalized, clip.missing, clip.selection)
        return _flatten(normalized, clip.selection, feature_kind)


def _scale_depth(clip: Clip, width: int) -> None:
    if width == 0:
        raise PoseContentError("the header's image width is 0; features with depth in pixels need it")
    clip.values[..., 2] *= np.float32(width)


def _normalize(clip: Clip) -> Floats:
    """Measure seen points in shoulder widths from between the shoulders; missing points keep their stored value.

    Source: pose_format.Pose.normalize, whose means over masked arrays are means over the frames with both shoulders.
    """
    right, left = clip.selection.shoulders
    seen = ~(clip.missing[:, right] | clip.missing[:, left])
    if not seen.any():
        raise PoseScaleError(f"the two shoulders are seen together in 0 of {len(seen)} frames; at least 1 is needed")
    right_shoulder = clip.values[seen, right].astype(np.float64)
    left_shoulder = clip.values[seen, left].astype(np.float64)
    center = ((right_shoulder + left_shoulder) / 2).mean(axis=0)
    distance = np.linalg.norm(right_shoulder - left_shoulder, axis=-1).mean()
    scale = clip.values.dtype.type(1 / distance)
    if not (np.isfinite(distance) and np.isfinite(scale)):
        raise PoseScaleError(f"the shoulders are {distance:g} apart; a positive, finite distance is needed")
    # Rows of a frame instead of triples of a point: NumPy's inner loop runs over the last axis, ten times faster here.
    rows = clip.values.reshape(len(clip.values), -1)  # frames, points * 3
    rows = (rows - np.tile(center.astype(rows.dtype), clip.values.shape[1])) * scale
    normalized: Floats = rows.reshape(clip.values.shape)  # frames, points, 3
    normalized[clip.missing] = clip.values[clip.missing]
    return normalized


def _flatten(normalized: Floats, selection: Selection, kind: FeatureKind) -> npt.NDArray[np.float32]:
    """Blank the legs, keep the kind's points, turn NaN into 0, one row a frame."""
    normalized[:, selection.legs] = 0
    if kind.points is not selection.points:
        normalized = normalized[:, selection.positions(kind.points)]
    features = normalized.reshape(len(normalized), kind.dim).astype(np.float32, order="C", copy=False)
    if not np.isfinite(features).all():
        features[np.isnan(features)] = 0
        infinite = int(np.isinf(features).any(axis=-1).sum())
        if infinite:
            raise PoseContentError(
                f"{infinite} of {len(features)} frames are too large to be measured in shoulder widths"
            )
    return features
