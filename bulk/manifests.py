"""The rows of a manifest as items, one by one: a manifest may have more rows than fit into memory."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulk.errors import SourceError
from bulk.items import Item, make_id
from bulk.storage import is_address
from corpora.errors import CorpusError, RowError
from corpora.examples import Skipped
from corpora.readers.folders import resolve_path
from corpora.readers.manifest import name_span, parse_span
from corpora.readers.tables import Row, read_csv, read_jsonl, read_parquet
from processes.os_errors import describe_reason

SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")
# Columns that have a meaning here, as in every manifest of this project (corpora/readers/manifest.py).
_KNOWN = ("id", "path", "text", "label", "sign_language", "spoken_language", "start_s", "end_s")
# Files whose rows are listed one by one have no more than this many columns.
_MAX_COLUMNS = 256
_DIGEST_CHARS = 24


@dataclass(frozen=True)
class Manifest:
    """A table of clips or texts.

    Attributes:
        path: of the table on this machine.
        folder: what paths in the table are relative to: a folder of this machine, or an address.
        columns: its columns that have no meaning here; they are kept beside the vectors.
        rows: how many it has; None: not known.
    """

    path: Path
    folder: str
    columns: tuple[str, ...]
    rows: int | None

    def read_items(self) -> Iterator[Item]:
        """Read the rows one by one; a row that makes no sense becomes an item with a fault.

        Raises:
            SourceError: the table is damaged from some row on.
        """
        skipped: list[Skipped] = []
        try:
            for row in _read_rows(self.path, skipped):
                yield from _drain(skipped)
                yield self._make_item(row)
        except CorpusError as error:
            raise SourceError(str(error)) from error
        yield from _drain(skipped)

    def _make_item(self, row: Row) -> Item:
        written, text = (row.get("path") or "").strip(), (row.get("text") or "").strip()
        fault, start_s, end_s = "", None, None
        try:
            start_s, end_s = parse_span(row)
        except RowError as error:
            fault = error.problem
        if not written and not text:
            fault = "the row has neither a path nor a text"
        return Item(
            id=make_id(row.get("id") or (f"{written}{name_span(start_s, end_s)}" if written else _name_text(row))),
            kind="pose" if written else "text",
            source=self._locate(written) if written else "",
            text=text,
            label=row.get("label") or "",
            sign_language=row.get("sign_language"),
            spoken_language=row.get("spoken_language"),
            start_s=start_s,
            end_s=end_s,
            facts={name: row.get(name) or "" for name in self.columns},
            fault=fault,
        )

    def _locate(self, written: str) -> str:
        if is_address(written):
            return written
        if is_address(self.folder):
            return f"{self.folder}/{written.lstrip('/')}"
        return str(resolve_path(Path(self.folder), written))


def _name_text(row: Row) -> str:
    """Name a text by what it says, so that it keeps its id when rows before it come or go."""
    words = "\0".join(row.get(name) or "" for name in ("text", "sign_language", "spoken_language"))
    return f"text-{hashlib.sha256(words.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST_CHARS]}"


def open_manifest(path: Path, folder: str | None = None) -> Manifest:
    """Open a manifest, and count its rows.

    Args:
        folder: what paths are relative to; None: the folder of the manifest.
    Raises:
        SourceError: the file is no manifest, or has neither a column path nor a column text.
    """
    try:
        columns, rows = _survey(path)
    except (CorpusError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {describe_reason(error)}") from error
    if "path" not in columns and "text" not in columns:
        raise SourceError(f"{path} has neither a column path nor a column text; it has {', '.join(columns) or 'none'}")
    if len(columns) > _MAX_COLUMNS:
        raise SourceError(f"{path} has {len(columns)} columns; at most {_MAX_COLUMNS} are kept")
    # A name that is there twice counts once, as it does where the rows are read.
    kept = tuple(dict.fromkeys(name for name in columns if name not in _KNOWN and name))
    _check_names(path, kept)
    return Manifest(path, str(path.parent) if folder is None else folder, kept, rows)


def _check_names(path: Path, columns: Sequence[str]) -> None:
    """Refuse names that no file can hold, because JSON may write half of a character."""
    for name in columns:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise SourceError(f"{path} has a column {name!a}, which holds half of a character; rename it") from None


def _survey(path: Path) -> tuple[list[str], int | None]:
    """Find the columns of a table and the number of its rows."""
    if path.suffix.lower() == ".parquet":
        return _survey_parquet(path)
    if path.suffix.lower() == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            return next(rows, []), sum(1 for cells in rows if cells)
    columns: dict[str, None] = {}
    count = 0
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                count += 1
                columns |= dict.fromkeys(_find_keys(line))
    return list(columns), count


def _find_keys(line: bytes) -> list[str]:
    try:
        cells: Any = json.loads(line)  # as the rows are read, halves of characters included
    except (ValueError, RecursionError):  # the row is reported when its turn comes
        return []
    return list(cells) if isinstance(cells, dict) else []


def _survey_parquet(path: Path) -> tuple[list[str], int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names), file.metadata.num_rows
    except pa.ArrowException as error:
        raise SourceError(f"{path} is not Parquet: {error}") from error


def _read_rows(path: Path, skipped: list[Skipped]) -> Iterator[Row]:
    if path.suffix.lower() == ".csv":
        return read_csv(path, (), skipped=skipped)
    if path.suffix.lower() == ".parquet":
        return read_parquet(path, (), plain=_KNOWN)
    return read_jsonl(path, (), plain=_KNOWN, skipped=skipped)


def _drain(skipped: list[Skipped]) -> Iterator[Item]:
    notes: Sequence[Skipped] = tuple(skipped)
    skipped.clear()
    for note in notes:
        yield Item(make_id(note.id), "pose", fault=note.reason)
