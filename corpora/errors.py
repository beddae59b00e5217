"""The errors of data sets.

CorpusError
├── CorpusUnknownError      there is no data set of that name
├── SplitMissingError       the data set has no such part
├── FileMissingError        a list or a table is not where the data set keeps it
├── ColumnMissingError      a table lacks a column
├── RowError                a row makes no sense; the message names the file and the line
│   └── EncodingError       a table is not UTF-8 from that line on
├── TaskError               prompts of a task cannot be written for these examples
├── ClipError               one clip cannot be used, but the others can
│   ├── ClipUnreadableError its file is damaged or holds something else
│   ├── ClipOutOfReachError the system did not deliver its file, e.g. from a disconnected share; it may the next time
│   ├── ClipSpanError       its start and end lie outside its file
│   ├── FeaturesUnavailableError  its file cannot give the requested features
│   └── VideoNotEstimatedError    it is a video whose pose has not been estimated yet
├── FetchError              a published list or table cannot be brought, or is another file
├── CacheError              the folder of the feature cache cannot be used
└── WorkerLostError         a reading process died, most often because memory ran out

Every message says what is wrong and where.
"""

from __future__ import annotations

from pathlib import Path


class CorpusError(Exception):
    """A data set, or a part of it, cannot be read."""


class CorpusUnknownError(CorpusError):
    """There is no data set of that name."""


class SplitMissingError(CorpusError):
    """The data set has no such part."""


class FileMissingError(CorpusError):
    """A list or a table is not where the data set keeps it."""


class ColumnMissingError(CorpusError):
    """A table lacks a column."""


class RowError(CorpusError):
    """A row of a table makes no sense.

    Args:
        path: of the table.
        line: number of the row's last line, from 1.
        problem: what is wrong with it.
    """

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}")
        self.path = path
        self.line = line
        self.problem = problem


class EncodingError(RowError):
    """A table is not UTF-8: it was saved in the encoding of an old program, and other rows would lose their letters."""


class TaskError(CorpusError):
    """Prompts of a task cannot be written for these examples."""


class ClipError(CorpusError):
    """One clip cannot be used, but the others can."""


class ClipUnreadableError(ClipError):
    """The clip's file is damaged or holds something else."""


class ClipOutOfReachError(ClipError):
    """The system did not deliver the clip's file, e.g. from a disconnected share. It may the next time."""


class ClipSpanError(ClipError):
    """The clip's start and end lie outside its file."""


class FeaturesUnavailableError(ClipError):
    """The clip's file cannot give the requested features."""


class VideoNotEstimatedError(ClipError):
    """The clip is a video whose pose has not been estimated yet."""


class FetchError(CorpusError):
    """A published list or table cannot be brought, or it is not the published file."""


class CacheError(CorpusError):
    """The folder of the feature cache cannot be used."""


class WorkerLostError(CorpusError):
    """A reading process died, most often because memory ran out."""
