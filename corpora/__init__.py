"""Data sets in the form that they are published in, read as examples and features.

Nothing here imports torch or mediapipe, so a process that only reads data starts fast.
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
    TaskError,
    VideoNotEstimatedError,
    WorkerLostError,
)
from corpora.examples import (
    SPLITS,
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.feature_kinds import ARRAY_KINDS, get_feature_dim
from corpora.loading import Clips, LoadedClip
from corpora.prompts import TASKS, Task, write_prompts
from corpora.registry import CORPORA, read_corpus

__all__ = [
    "ARRAY_KINDS",
    "CORPORA",
    "SPLITS",
    "TASKS",
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
    "TaskError",
    "VideoNotEstimatedError",
    "WorkerLostError",
    "get_feature_dim",
    "read_corpus",
    "write_prompts",
]
