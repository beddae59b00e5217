"""Everything about a pose before a model sees it: reading, features, flip, anonymization, quality.

Nothing here imports torch, MediaPipe or PyAV.
"""

from poses.active_hand import find_active_hand
from poses.errors import (
    FeatureKindError,
    NotAPoseError,
    PersonError,
    PoseContentError,
    PoseEmptyError,
    PoseError,
    PoseFormatError,
    PoseLayoutError,
    PoseScaleError,
    PoseTooLargeError,
    PoseTooLongError,
    PoseTrailingError,
    PoseTruncatedError,
    PoseVersionError,
)
from poses.feature_kinds import FEATURE_KINDS, FeatureKind
from poses.features import FeatureOptions, check_layout, extract, find_layout_lacks
from poses.flip import mirror
from poses.headers import ReadLimits
from poses.quality import QualityReport, find_warnings, report
from poses.reading import read
from poses.trim import Signing, Trim, cut_frames, cut_to_signing, find_signing

__all__ = [
    "FEATURE_KINDS",
    "FeatureKind",
    "FeatureKindError",
    "FeatureOptions",
    "NotAPoseError",
    "PersonError",
    "PoseContentError",
    "PoseEmptyError",
    "PoseError",
    "PoseFormatError",
    "PoseLayoutError",
    "PoseScaleError",
    "PoseTooLargeError",
    "PoseTooLongError",
    "PoseTrailingError",
    "PoseTruncatedError",
    "PoseVersionError",
    "QualityReport",
    "ReadLimits",
    "Signing",
    "Trim",
    "check_layout",
    "cut_frames",
    "cut_to_signing",
    "extract",
    "find_active_hand",
    "find_layout_lacks",
    "find_signing",
    "find_warnings",
    "mirror",
    "read",
    "report",
]
