"""Everything about a pose before a model sees it: reading, features, flip, anonymization, quality.

Nothing here imports torch or mediapipe.
"""

from .errors import PoseError
from .features import FEATURE_KINDS, FeatureKind, FeatureOptions, extract
from .headers import ReadLimits
from .reading import read

__all__ = ["FEATURE_KINDS", "FeatureKind", "FeatureOptions", "PoseError", "ReadLimits", "extract", "read"]
