"""Everything about a pose before a model sees it: reading, features, flip, anonymization, quality, video to pose.

Nothing here imports torch. MediaPipe and PyAV come with `video`, `estimation` and `view` alone, never with this.
"""

from poses.errors import (
    FeatureKindError,
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
from poses.features import (
    FEATURE_KINDS,
    FeatureKind,
    FeatureOptions,
    extract,
)
from poses.flip import active_hand, mirror
from poses.headers import ReadLimits
from poses.quality import QualityReport, report
from poses.reading import read

__all__ = [
    "FEATURE_KINDS",
    "FeatureKind",
    "FeatureKindError",
    "FeatureOptions",
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
    "active_hand",
    "extract",
    "mirror",
    "read",
    "report",
]
