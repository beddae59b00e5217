"""Data sets in the form they are published in, as examples with one meaning and features read once.

Nothing here imports torch or mediapipe.
"""

from .cache import FeatureCache
from .errors import (
    CacheError,
    ClipError,
    ClipOutOfReachError,
    ClipSpanError,
    ClipUnreadableError,
    ColumnMissingError,
    CorpusError,
    CorpusUnknownError,
    FeaturesUnavailableError,
    FileMissingError,
    RowError,
    SplitMissingError,
    VideoNotEstimatedError,
    WorkerLostError,
)
from .examples import SPLITS, Corpus, Example, Skipped, Split, Task
from .feature_kinds import ARRAY_KINDS, feature_dim
from .loading import Clips, LoadedClip
from .registry import CORPORA, read_corpus

__all__ = [
    "ARRAY_KINDS",
    "CORPORA",
    "SPLITS",
    "CacheError",
    "ClipError",
    "ClipOutOfReachError",
    "ClipSpanError",
    "ClipUnreadableError",
    "Clips",
    "ColumnMissingError",
    "Corpus",
    "CorpusError",
    "CorpusUnknownError",
    "Example",
    "FeatureCache",
    "FeaturesUnavailableError",
    "FileMissingError",
    "LoadedClip",
    "RowError",
    "Skipped",
    "Split",
    "SplitMissingError",
    "Task",
    "VideoNotEstimatedError",
    "WorkerLostError",
    "feature_dim",
    "read_corpus",
]
