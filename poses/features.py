"""Poses as the numbers a model was trained on: one kind of features for each kind of training.

Equal to the authors' PoseProcessor (J22Melody/fairseq@a8199440, mmpt/processors/dsprocessor_sign.py), which works on
masked arrays; here the same numbers are computed on plain ones, several times faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.pose_header import PoseHeader

from poses.anonymize import remove_appearance
from poses.errors import PoseContentError, PoseScaleError
from poses.feature_kinds import FeatureKind, choose_measured, find_kind
from poses.flip import never_moves, never_moves_where_seen
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
from poses.trim import Trim, cut_to_signing

Flip = Literal["never", "auto", "always", "authors"]


@dataclass(frozen=True)
class FeatureOptions:
    """What to do to a pose before its features are computed.

    Attributes:
        flip: mirror the clip: ``never``, ``always``, or, with ``auto``, when the right hand never moves. ``authors`` is
            the authors' rule, which leaves out a hand that was never seen; see poses.flip.never_moves_where_seen.
        anonymize: replace the signer's appearance by the average one.
        person: which person, needed when there are several.
        trim: ``auto`` cuts the clip to the frames in which somebody signs; see poses.trim.find_signing.
    Raises:
        ValueError: flip or trim is another word.
    """

    flip: Flip = "never"
    anonymize: bool = False
    person: int | None = None
    trim: Trim = "none"

    def __post_init__(self) -> None:
        for name, value, words in (("flip", self.flip, get_args(Flip)), ("trim", self.trim, get_args(Trim))):
            if value not in words:
                raise ValueError(f"{name} is {value!r}; one of {', '.join(words)} is needed")


_DEFAULT_OPTIONS = FeatureOptions()
# A body with both arms stretched out spans some five shoulder widths. From 10 on, a clip has a warning.
MOST_SHOULDER_WIDTHS = 1000
# Points that were not seen keep their stored value, in pixels. No picture is that large.
_MOST_STORED = 1e6


def find_layout_lacks(header: PoseHeader, kind: str) -> str | None:
    """Say what a layout lacks for a kind of features; None if it has everything.

    Raises:
        FeatureKindError: there is no such kind.
    """
    return find_lacks(make_layout_key(header), find_kind(kind).measured)


def check_layout(header: PoseHeader, kind: str) -> None:
    """Refuse a layout that lacks points of a kind of features.

    Raises:
        FeatureKindError: there is no such kind.
        PoseLayoutError: it names what is missing, where the layout seems to come from, and what to do.
    """
    check_selection(make_layout_key(header), find_kind(kind).measured)


def is_flipped(pose: Pose, options: FeatureOptions) -> bool:
    """Return whether a clip, trimmed if need be, is mirrored before its features are computed.

    Raises:
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
        PoseEmptyError: the pose has no frames or no people.
        PoseLayoutError: the layout has no right hand, and flip is "auto" or "authors".
    """
    if options.flip in ("never", "always"):
        return options.flip == "always"
    asks = never_moves if options.flip == "auto" else never_moves_where_seen
    return asks(pose, choose_person(pose, options.person))


def extract(pose: Pose, kind: str, options: FeatureOptions = _DEFAULT_OPTIONS) -> npt.NDArray[np.float32]:
    """Compute a clip's features.

    The midpoint between the shoulders, averaged over the clip, becomes the origin; their average distance becomes 1.
    Points that are missing keep their stored value, which is 0 in poses from an estimator; legs are 0.

    Args:
        pose: a holistic pose, whole or reduced, points in any order; not changed.
        kind: one of FEATURE_KINDS.
        options: what to do to the pose first, in the order trim, flip, anonymize.
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
    feature_kind = find_kind(kind)
    person = choose_person(pose, options.person)
    if options.trim == "auto":
        pose, _ = cut_to_signing(pose, person)
    measured = choose_measured(feature_kind, anonymize=options.anonymize)
    clip = select(pose, person, measured, flip=is_flipped(pose, options))
    return compute_features(clip, feature_kind, anonymize=options.anonymize, width=pose.header.dimensions.width)


def compute_features(clip: Clip, kind: FeatureKind, *, anonymize: bool, width: int) -> npt.NDArray[np.float32]:
    """Compute the features of a clip that was selected, flipped if need be; its values are not used again.

    Args:
        clip: the points of `choose_measured`.
        anonymize: replace the signer's appearance by the average one.
        width: of the image, in pixels.
    Returns:
        float32 (frames, dim), as extract.
    Raises:
        PoseScaleError, PoseContentError: as extract.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # results are checked
        if kind.depth_in_pixels:
            _scale_depth(clip, width)
        if anonymize:
            clip = remove_appearance(clip)
        normalized = _normalize(clip)
        if kind.finish is not None:
            normalized = kind.finish(normalized, clip.missing, clip.selection)
        return _flatten(normalized, clip.selection, kind)


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
    both = clip.values.take((right, left), axis=1)  # frames, 2, 3
    both = (both if seen.all() else both[seen]).astype(np.float64)
    right_shoulder, left_shoulder = both[:, 0], both[:, 1]
    center = ((right_shoulder + left_shoulder) / 2).mean(axis=0)
    apart = right_shoulder - left_shoulder
    distance = np.sqrt((apart * apart).sum(axis=-1)).mean()
    scale = clip.values.dtype.type(1 / distance)
    if not (distance <= _MOST_STORED and np.isfinite(scale)):
        raise PoseScaleError(
            f"the shoulders are {distance:g} apart; a positive distance up to {_MOST_STORED:g} is needed"
        )
    # Rows of a frame instead of triples of a point: NumPy's inner loop runs over the last axis, ten times faster here.
    stored = clip.values.reshape(len(clip.values), -1)  # frames, points * 3
    rows = stored - np.tile(center.astype(stored.dtype), clip.values.shape[1])
    rows *= scale
    normalized: Floats = rows.reshape(clip.values.shape)  # frames, points, 3
    if not max(rows.max(), -rows.min()) <= MOST_SHOULDER_WIDTHS:
        far = np.abs(normalized) > MOST_SHOULDER_WIDTHS
        far[clip.missing] = False
        _refuse_far(far)
    # Axis by axis, because NumPy stretches a mask of points over their coordinates far more slowly.
    for axis in range(normalized.shape[-1]):
        np.copyto(normalized[..., axis], clip.values[..., axis], where=clip.missing)
    return normalized


def _refuse_far(far: npt.NDArray[np.bool_]) -> None:
    """Refuse coordinates, bool (frames, points, 3), of which some are too far from the body to be of one.

    A model makes one and the same vector, which looks like any other, of everything that is far enough away.
    """
    frames = int(far.any(axis=(1, 2)).sum())
    if frames:
        raise PoseContentError(
            f"{int(far.any(axis=2).sum())} points in {frames} of {len(far)} frames are more than "
            f"{MOST_SHOULDER_WIDTHS} shoulder widths from the body; coordinates are pixels of the header's image"
        )


def _flatten(normalized: Floats, selection: Selection, kind: FeatureKind) -> npt.NDArray[np.float32]:
    """Blank the legs, keep the kind's points, turn NaN into 0, one row a frame."""
    normalized[:, selection.legs] = 0
    if kind.points is not selection.points:
        normalized = normalized[:, selection.positions(kind.points)]
    features = normalized.reshape(len(normalized), kind.dim).astype(np.float32, order="C", copy=False)
    # Both are NaN where a number is.
    if not max(features.max(), -features.min()) <= _MOST_STORED:
        features[np.isnan(features)] = 0
        too_large = int((np.abs(features) > _MOST_STORED).any(axis=-1).sum())
        if too_large:
            raise PoseContentError(
                f"{too_large} of {len(features)} frames are too large to be measured in shoulder widths"
            )
    return features
