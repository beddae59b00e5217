"""Rows that cannot be used: skipped with a reason, so that one bad row does not stop a data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpora.errors import EncodingError, RowError
from corpora.examples import Skipped
from processes.file_kinds import Family, recognize

_ADVICE = 'save it as "CSV UTF-8" (Excel), or convert it, for example with: iconv -f WINDOWS-1252 -t UTF-8'
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Files that are no tables, whatever their names say; of these their kind says more than their first line does.
_NO_TABLES: tuple[Family, ...] = (
    *("pointer", "page", "address", "mangled", "packed", "archive", "document", "video", "picture", "audio", "zeros"),
    *("pose", "array", "weights", "companion"),
)


def note_fault(error: RowError) -> Skipped:
    """Make the note for a row that makes no sense; its place in the table stands for the id that it may lack."""
    return Skipped(f"{error.path.name}, line {error.line}", error.problem)


@contextmanager
def skip_faults(skipped: list[Skipped]) -> Iterator[None]:
    """Note a row that makes no sense, and go on."""
    try:
        yield
    except RowError as error:
        skipped.append(note_fault(error))


def find_encoding_fault(path: Path) -> EncodingError:
    """Find the line of a table that is not UTF-8, and say how the table becomes UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1 and line.startswith(_UTF_16_MARKS):
                return EncodingError(path, 1, f"the file is UTF-16; {_ADVICE}")
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                problem = f"byte {error.start + 1} of the line (0x{line[error.start]:02x}) is not UTF-8; {_ADVICE}"
                return EncodingError(path, number, problem)
    return EncodingError(path, 1, f"the file is not UTF-8; {_ADVICE}")  # it was changed meanwhile


def describe_no_table(path: Path) -> str | None:
    """Say what a file looks like that is no table at all, and what to do; None for text and tables."""
    with path.open("rb") as file:
        kind = recognize(file.read(64 * 1024))
    if kind.family not in _NO_TABLES:
        return None
    return f"{path} is no table; it looks like {kind.name}. {kind.advice or 'Take the table itself'}"
