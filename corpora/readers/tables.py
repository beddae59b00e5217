"""Tables and lists of data sets, read row by row, with faults that name file and line."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from corpora.errors import (
    ColumnMissingError,
    FileMissingError,
    RowError,
    SplitMissingError,
)
from corpora.examples import SPLITS, Split

_SHUFFLE_SEED = 3407
"""Source: sign-language-processing/datasets, splits/1.0.0-uzh/split.py of asl_signs and spread_the_sign."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        path: of the table.
        line: where the row ends in the file, counted from 1; in parquet, the row's number.
        values: text by column; "" where a cell is empty.
    """

    path: Path
    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def get(self, column: str) -> str | None:
        """A column that a table may lack; None also where its cell is empty."""
        return self.values.get(column) or None

    def required(self, column: str) -> str:
        """A cell that may not be empty.

        Raises:
            RowError: it is.
        """
        value = self.values[column].strip()
        if not value:
            raise RowError(self.path, self.line, f"{column} is empty")
        return value

    def number(self, column: str) -> float | None:
        """A cell as a number; None where it is empty or the column is not there.

        Raises:
            RowError: it holds something else.
        """
        value = self.get(column)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise RowError(self.path, self.line, f"{column} is {value!r}, not a number")
        return number


def find_file(root: Path, names: Sequence[str]) -> Path:
    """The first of several names under which a table goes.

    Raises:
        FileMissingError: none is there.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    raise FileMissingError(f"{root} has no {' or '.join(names)}")


def read_csv(path: Path, columns: Sequence[str], *, delimiters: str = ",", row_a_line: bool = False) -> Iterator[Row]:
    """Read a table with a header line.

    Args:
        path: UTF-8, with or without a byte order mark.
        columns: what it must have; other columns are kept too.
        delimiters: tried in this order; the first that finds the columns is taken.
        row_a_line: no cell holds a line break, so that a stray quotation mark cannot swallow the rows after it.
    Raises:
        FileMissingError: there is no such file.
        ColumnMissingError: the header lacks a column.
        RowError: a row has more or fewer cells than the header, or is not UTF-8.
    """
    delimiter = _find_delimiter(path, columns, delimiters)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header: list[str] = []
        line = 0
        try:
            for line, cells in _cells(file, delimiter, row_a_line=row_a_line):
                if not header:
                    header = cells
                elif len(cells) != len(header):
                    raise RowError(path, line, f"{len(cells)} cells; the header has {len(header)}")
                else:
                    yield Row(path, line, dict(zip(header, cells, strict=True)))
        except (UnicodeDecodeError, csv.Error) as error:
            raise RowError(path, line + 1, str(error)) from None


def _cells(file: TextIO, delimiter: str, *, row_a_line: bool) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, each with the number of its last line."""
    if row_a_line:
        for number, text in enumerate(file, start=1):
            if text.strip():
                yield number, next(csv.reader([text.rstrip("\r\n")], delimiter=delimiter))
        return
    reader = csv.reader(file, delimiter=delimiter)
    for cells in reader:
        if cells:
            yield reader.line_num, cells


def _find_delimiter(path: Path, columns: Sequence[str], delimiters: str) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
    except FileNotFoundError:
        raise FileMissingError(f"{path} is not there") from None
    except UnicodeDecodeError as error:
        raise RowError(path, 1, str(error)) from None
    missing: list[str] = []
    for delimiter in delimiters:
        names = next(csv.reader([header], delimiter=delimiter), [])
        missing = [column for column in columns if column not in names]
        if not missing:
            return delimiter
    raise ColumnMissingError(f"{path} has no column {', '.join(missing)}; its header is {header.strip()[:200]!r}")


def read_jsonl(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Read a file of one JSON object a line; numbers become text, null becomes "".

    Raises:
        FileMissingError, ColumnMissingError, RowError: as read_csv.
    """
    if not path.is_file():
        raise FileMissingError(f"{path} is not there")
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                cells = json.loads(text)
            except ValueError as error:
                raise RowError(path, line, f"not JSON: {error}") from None
            if not isinstance(cells, dict):
                raise RowError(path, line, "not a JSON object")
            missing = [column for column in columns if column not in cells]
            if missing:
                raise ColumnMissingError(f"{path}, line {line}: no {', '.join(missing)}")
            yield Row(path, line, {name: "" if value is None else str(value) for name, value in cells.items()})


def read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Read a parquet table, a batch of rows at a time.

    Raises:
        FileMissingError, ColumnMissingError: as read_csv.
        RowError: the file is no parquet, or ends early.
    """
    import pyarrow as pa  # 100 ms and 60 MB: only for those who have parquet
    import pyarrow.parquet as pq

    if not path.is_file():
        raise FileMissingError(f"{path} is not there")
    try:
        with pq.ParquetFile(path) as file:
            missing = [column for column in columns if column not in file.schema_arrow.names]
            if missing:
                raise ColumnMissingError(f"{path} has no column {', '.join(missing)}; it has {file.schema_arrow.names}")
            line = 0
            for batch in file.iter_batches():
                for cells in batch.to_pylist():
                    line += 1
                    yield Row(path, line, {name: "" if value is None else str(value) for name, value in cells.items()})
    except (pa.ArrowException, OSError) as error:
        raise RowError(path, 1, f"no parquet: {error}") from None


def read_list(path: Path) -> list[str]:
    """Read a file of one name a line; empty lines are skipped.

    Raises:
        FileMissingError: there is no such file.
        RowError: it is no text.
    """
    if not path.is_file():
        raise FileMissingError(f"{path} is not there")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RowError(path, 1, f"no UTF-8 text: {error.reason} at byte {error.start}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def each_split(split: Split) -> tuple[str, ...]:
    """The parts that a split stands for."""
    return SPLITS[:3] if split == "all" else (split,)


def undivided(name: str, split: Split) -> None:
    """Refuse a part of a data set that is published in one piece.

    Raises:
        SplitMissingError: split is not "all".
    """
    if split != "all":
        raise SplitMissingError(f"{name} is published in one piece; ask for split 'all' and divide it")


def draw_split(names: Sequence[str], *, held_out: float) -> dict[str, str]:
    """Divide a data set as the paper did where its publishers did not.

    Args:
        names: of all rows, in the table's order.
        held_out: share of rows that goes to each of validation and test.
    Returns:
        The split by name.
    Source: sign-language-processing/datasets, asl_signs/splits/1.0.0-uzh/split.py (0.05) and spread_the_sign's (0.001).
    """
    shuffled = list(names)
    random.Random(_SHUFFLE_SEED).shuffle(shuffled)
    val_end = int(len(shuffled) * held_out)
    test_end = val_end + int(len(shuffled) * held_out)
    parts = {"val": shuffled[:val_end], "test": shuffled[val_end:test_end], "train": shuffled[test_end:]}
    return {name: split for split, part in parts.items() for name in part}


def listed_split(root: Path, names: Sequence[str], *, held_out: float) -> dict[str, str]:
    """Divide by the lists `train.txt`, `val.txt` and `test.txt` below the folder, or as the paper if there are none.

    Raises:
        FileMissingError: one of the lists is there and another is not.
    """
    if not any((root / f"{split}.txt").is_file() for split in SPLITS[:3]):
        return draw_split(names, held_out=held_out)
    return {name: split for split in SPLITS[:3] for name in read_list(root / f"{split}.txt")}
