"""What can be wrong with a data set.

CorpusError
├── CorpusUnknownError      no data set of that name
├── SplitMissingError       the data set has no such part
├── FileMissingError        a list or table is not where the data set has it
├── ColumnMissingError      a table lacks a column
├── RowError                a row means nothing; the message names file and line
├── ClipError               one clip cannot be used; the others can
│   ├── ClipUnreadableError its file is damaged or holds something else
│   ├── ClipOutOfReachError the system did not give it: a share that is away, too many open files; it may another time
│   ├── ClipSpanError       start and end lie outside of it
│   ├── FeaturesUnavailableError  its file cannot give the features that are asked for
│   └── VideoNotEstimatedError    it is a video whose pose nobody estimated yet
├── CacheError              the feature cache's folder cannot be used
└── WorkerLostError         a reading process died, most often for want of memory

Every message says what was wrong and where.
"""

from __future__ import annotations

from pathlib import Path


class CorpusError(Exception):
    """Anything that keeps a data set or a part of it from being read."""


class CorpusUnknownError(CorpusError):
    """There is no data set of that name."""


class SplitMissingError(CorpusError):
    """The data set has no such part."""


class FileMissingError(CorpusError):
    """A list or table is not where the data set has it."""


class ColumnMissingError(CorpusError):
    """A table lacks a column."""


class RowError(CorpusError):
    """A row means nothing."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}")
        self.path = path
        self.line = line


class ClipError(CorpusError):
    """One clip cannot be used; the others can."""


class ClipUnreadableError(ClipError):
    """The clip's file is damaged or holds something else."""


class ClipOutOfReachError(ClipError):
    """The system did not give the clip's file: a share that is away, too many open files. It may another time."""


class ClipSpanError(ClipError):
    """Start and end lie outside of the clip."""


class FeaturesUnavailableError(ClipError):
    """The clip's file cannot give the features that are asked for."""


class VideoNotEstimatedError(ClipError):
    """The clip is a video whose pose nobody estimated yet."""


class CacheError(CorpusError):
    """The feature cache's folder cannot be used."""


class WorkerLostError(CorpusError):
    """A reading process died, most often for want of memory."""
