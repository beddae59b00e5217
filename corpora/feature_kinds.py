"""All kinds of features that a clip's file can give: of poses, of Kaggle's landmarks, of video encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from corpora.errors import FeaturesUnavailableError
from poses import FEATURE_KINDS

# Where each part is among the 543 points of a frame of Kaggle.
# Source: ASLSignPoseProcessor, J22Melody/fairseq, dsprocessor_sign.py.
_LEFT_HAND = range(468, 489)
_BODY = range(489, 522)
_RIGHT_HAND = range(522, 543)
_FULL_FACE = range(468)
# fmt: off
_NOSE = (1, 2, 98, 327)
_LIPS = (
    0, 61, 185, 40, 39, 37, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375, 78, 191, 80, 81, 82,
    13, 312, 311, 310, 415, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308,
)
_RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173)
_LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398)
# fmt: on
_SELECTED_FACE = tuple(sorted((*_NOSE, *_LIPS, *_RIGHT_EYE, *_LEFT_EYE)))
_HANDS_AND_BODY = (*_LEFT_HAND, *_BODY, *_RIGHT_HAND)


@dataclass(frozen=True)
class ArrayKind:
    """Features that a file stores almost in the form that a model takes.

    Attributes:
        name: as data sets and configurations call the kind.
        version: raised whenever a number of the kind changes. Older cache entries are then parsed again.
        dim: features a frame.
        stored_dim: features a frame in the file. If it is larger than dim, groups of neighbours are averaged.
        points: for Kaggle's landmarks, which of the 543 points are taken, with x, y and z; None for the other kinds.
    """

    name: str
    version: int
    dim: int
    stored_dim: int
    points: tuple[int, ...] | None = None


def _landmarks(name: str, points: tuple[int, ...]) -> ArrayKind:
    return ArrayKind(name, version=1, dim=3 * len(points), stored_dim=3 * 543, points=points)


ARRAY_KINDS: Mapping[str, ArrayKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _landmarks("islr_no_face", _HANDS_AND_BODY),
            _landmarks("islr_full_face", (*_FULL_FACE, *_HANDS_AND_BODY)),
            _landmarks("islr_selected_face", (*_SELECTED_FACE, *_HANDS_AND_BODY)),
            # S3D (HowTo100M), a row a second, and I3D (BSL-5K), a row for every 4th frame; `python -m video features`
            # writes both. RWTHFSVideoProcessor averages pairs of I3D's 1,024.
            ArrayKind("s3d", version=1, dim=512, stored_dim=512),
            ArrayKind("i3d", version=1, dim=1024, stored_dim=1024),
            ArrayKind("i3d_512", version=1, dim=512, stored_dim=1024),
        )
    }
)


def get_feature_dim(kind: str) -> int:
    """Return how many features a frame has.

    Raises:
        FeaturesUnavailableError: there is no such kind.
    """
    return _find_dim_and_version(kind)[0]


def get_feature_version(kind: str) -> int:
    """Return the version of a kind's numbers.

    Raises:
        FeaturesUnavailableError: there is no such kind.
    """
    return _find_dim_and_version(kind)[1]


def _find_dim_and_version(name: str) -> tuple[int, int]:
    if name in FEATURE_KINDS:
        return FEATURE_KINDS[name].dim, FEATURE_KINDS[name].version
    if name in ARRAY_KINDS:
        return ARRAY_KINDS[name].dim, ARRAY_KINDS[name].version
    known = ", ".join((*FEATURE_KINDS, *ARRAY_KINDS))
    raise FeaturesUnavailableError(f"there is no kind of features {name!r}; use one of {known}")
