"""Data sets in the form they are published in, as examples with one meaning and features read once.

Nothing here imports torch or mediapipe.
"""

from corpora.cache import FeatureCache
from corpora.errors import (
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
from corpora.examples import (
    SPLITS,
    Corpus,
    Example,
    Skipped,
    Split,
    Task,
)
from corpora.feature_kinds import ARRAY_KINDS, feature_dim
from corpora.loading import Clips, LoadedClip
from corpora.registry import CORPORA, read_corpus

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
