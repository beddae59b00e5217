"""The cells of a table: which character divides them, where rows end, and how values are written as text."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from corpora.errors import ColumnMissingError, FileMissingError, RowError
from corpora.readers.faults import describe_no_table, find_encoding_fault
from corpora.readers.folders import describe_folder

# What programs write in place of commas: Excel a semicolon, where the comma is the decimal mark.
_OTHER_DELIMITERS = ";\t|"


def split_cells(file: TextIO, delimiter: str, *, row_a_line: bool) -> Iterator[tuple[int, list[str]]]:
    """Split the rows that are not empty into cells, each with the number of its last line.

    Raises:
        csv.Error: a cell is too long, or a quotation mark begins one that does not end.
    """
    if row_a_line:
        for number, text in enumerate(file, start=1):
            if text.strip():
                yield number, _split_line(text.rstrip("\r\n"), delimiter)
        return
    lines = _Lines(file)
    reader = csv.reader(lines, delimiter=delimiter)
    for cells in reader:
        if lines.are_over:  # a row ends before the reader asks for another line
            raise csv.Error(
                "a quotation mark begins a cell that does not end, so all rows after it would be part of the cell; "
                "remove the mark, or double each mark within a cell and put the cell between two more"
            )
        if cells:
            yield reader.line_num, cells


def _split_line(line: str, delimiter: str) -> list[str]:
    """Split a row that is one line; quotation marks that quote no whole cell are part of its text."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE))


class _Lines:
    """The lines of a file, and whether a reader has asked for one after the last."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.are_over = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._file:
            return line
        self.are_over = True
        raise StopIteration


def write_cells(path: Path, line: int, values: Mapping[str, Any], *, plain: Sequence[str]) -> dict[str, str]:
    """Write the values of a row as text: null as "", lists and objects as JSON.

    Args:
        path, line: of the row, for errors.
        plain: columns that hold a text or a number.
    Raises:
        RowError: a plain column holds a list or an object.
    """
    cells = {}
    for name, value in values.items():
        is_nested = isinstance(value, (list, dict))
        if is_nested and name in plain:
            kind = "a list" if isinstance(value, list) else "an object"
            raise RowError(path, line, f"{name} is {kind}; write a text or a number, or null where there is none")
        try:
            cells[name] = json.dumps(value, ensure_ascii=False, default=str) if is_nested else _write_value(value)
        except RecursionError:
            raise RowError(path, line, f"{name} is nested too deeply to be kept; leave it out") from None
    return cells


def _write_value(value: object) -> str:
    return "" if value is None else str(value)


def find_delimiter(path: Path, columns: Sequence[str], delimiters: str) -> str:
    """Find the first delimiter with which the header has all columns.

    Raises:
        FileMissingError: the file does not exist.
        ColumnMissingError: the header lacks a column with every delimiter, or the file is no table.
        EncodingError: the header is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
    except FileNotFoundError:
        raise describe_missing(path) from None
    except UnicodeDecodeError:
        other = describe_no_table(path)
        raise find_encoding_fault(path) if other is None else ColumnMissingError(other) from None
    missing: list[str] = []
    for delimiter in delimiters:
        missing = _find_missing(header, columns, delimiter)
        if not missing:
            return delimiter
    problem = f"{path} has no column {', '.join(missing)}; its header is {header.strip()[:200]!r}"
    other = next((mark for mark in _OTHER_DELIMITERS if not _find_missing(header, columns, mark)), None)
    if other is not None:
        problem += f", divided by {other!r}; divide the columns by {' or '.join(map(repr, delimiters))}"
    raise ColumnMissingError(describe_no_table(path) or problem)


def _find_missing(header: str, columns: Sequence[str], delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:  # a cell of more than 128 KiB, as where a whole JSON file is one line
        names = []
    return [column for column in columns if column not in names]


def describe_missing(path: Path) -> FileMissingError:
    """Say that a table does not exist, and what lies in its folder instead."""
    return FileMissingError(f"{path} does not exist; {describe_folder(path.parent)}")
