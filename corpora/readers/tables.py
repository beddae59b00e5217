"""The tables and lists of data sets, read row by row. Errors name the file and the line."""

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

# Source: sign-language-processing/datasets, splits/1.0.0-uzh/split.py of asl_signs and spread_the_sign.
_SHUFFLE_SEED = 3407


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        path: of the table.
        line: number of the row's last line in the file, from 1; in parquet, the number of the row.
        values: text by column; "" for an empty cell.
    """

    path: Path
    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def get(self, column: str) -> str | None:
        """Return the cell of an optional column; None if the cell is empty or the column is missing."""
        return self.values.get(column) or None

    def require(self, column: str) -> str:
        """Return a cell that must not be empty, without spaces at its ends.

        Raises:
            RowError: the cell is empty.
        """
        value = self.values[column].strip()
        if not value:
            raise RowError(self.path, self.line, f"{column} is empty")
        return value

    def parse_number(self, column: str) -> float | None:
        """Return a cell as a number; None if the cell is empty or the column is missing.

        Raises:
            RowError: the cell holds something other than a finite number.
        """
        value = self.get(column)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise RowError(self.path, self.line, f"{column} is {value!r}, which is not a finite number")
        return number


def find_file(root: Path, names: Sequence[str]) -> Path:
    """Find a table that has one of several names.

    Raises:
        FileMissingError: the folder has no file of these names.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    raise FileMissingError(f"{root} has no {' or '.join(names)}")


def read_csv(path: Path, columns: Sequence[str], *, delimiters: str = ",", row_a_line: bool = False) -> Iterator[Row]:
    """Read a table with a header line.

    Args:
        path: of a file in UTF-8, with or without a byte order mark.
        columns: that the table must have; other columns are kept too.
        delimiters: tried in this order. The first that finds the columns is used.
        row_a_line: no cell contains a line break, so a single quotation mark does not join the rows after it.
    Returns:
        The rows, read one by one.
    Raises:
        FileMissingError: the file does not exist.
        ColumnMissingError: the header lacks a column.
        RowError: a row has more or fewer cells than the header, or is not UTF-8.
    """
    delimiter = _find_delimiter(path, columns, delimiters)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header: list[str] = []
        line = 0
        try:
            for line, cells in _split_cells(file, delimiter, row_a_line=row_a_line):
                if not header:
                    header = cells
                elif len(cells) != len(header):
                    raise RowError(path, line, f"{len(cells)} cells; the header has {len(header)}")
                else:
                    yield Row(path, line, dict(zip(header, cells, strict=True)))
        except (UnicodeDecodeError, csv.Error) as error:
            raise RowError(path, line + 1, str(error)) from None


def _split_cells(file: TextIO, delimiter: str, *, row_a_line: bool) -> Iterator[tuple[int, list[str]]]:
    """Split the rows that are not empty into cells, each with the number of its last line."""
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
        raise FileMissingError(f"{path} does not exist") from None
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
    """Read a file with one JSON object a line. Numbers become text, and null becomes "".

    Raises:
        FileMissingError, ColumnMissingError, RowError: as read_csv.
    """
    if not path.is_file():
        raise FileMissingError(f"{path} does not exist")
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                cells = json.loads(text)
            except ValueError as error:
                raise RowError(path, line, f"the line is not JSON: {error}") from None
            if not isinstance(cells, dict):
                raise RowError(path, line, "the line is not a JSON object")
            missing = [column for column in columns if column not in cells]
            if missing:
                raise ColumnMissingError(f"{path}, line {line}: the object has no {', '.join(missing)}")
            yield Row(path, line, {name: "" if value is None else str(value) for name, value in cells.items()})


def read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Read a parquet table, a batch of rows at a time.

    Raises:
        FileMissingError, ColumnMissingError: as read_csv.
        RowError: the file is not parquet, or it is truncated.
    """
    import pyarrow as pa  # It costs 100 ms and 60 MB, which data sets without parquet need not pay.
    import pyarrow.parquet as pq

    if not path.is_file():
        raise FileMissingError(f"{path} does not exist")
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
        raise RowError(path, 1, f"the file is not parquet: {error}") from None


def read_list(path: Path) -> list[str]:
    """Read a file with one name a line. Empty lines are skipped.

    Raises:
        FileMissingError: the file does not exist.
        RowError: the file is not text in UTF-8.
    """
    if not path.is_file():
        raise FileMissingError(f"{path} does not exist")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RowError(path, 1, f"the file is not UTF-8 text: {error.reason} at byte {error.start}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def expand_split(split: Split) -> tuple[str, ...]:
    """Return the parts that a split stands for: all three for "all", else itself."""
    return SPLITS[:3] if split == "all" else (split,)


def require_undivided(name: str, split: Split) -> None:
    """Refuse a part of a data set that is published undivided.

    Raises:
        SplitMissingError: split is not "all".
    """
    if split != "all":
        raise SplitMissingError(f"{name} is published undivided, without a split {split!r}; use split 'all'")


def draw_split(names: Sequence[str], *, held_out: float) -> dict[str, str]:
    """Divide a data set that is published undivided, as the paper did.

    Args:
        names: of all rows, in the table's order.
        held_out: share of rows, 0 to 1, in each of validation and test.
    Returns:
        The split of each name.
    Source: sign-language-processing/datasets, asl_signs/splits/1.0.0-uzh/split.py (0.05) and spread_the_sign's (0.01).
    """
    shuffled = list(names)
    random.Random(_SHUFFLE_SEED).shuffle(shuffled)
    val_end = int(len(shuffled) * held_out)
    test_end = val_end + int(len(shuffled) * held_out)
    parts = {"val": shuffled[:val_end], "test": shuffled[val_end:test_end], "train": shuffled[test_end:]}
    return {name: split for split, part in parts.items() for name in part}


def read_splits(root: Path, names: Sequence[str], *, held_out: float) -> dict[str, str]:
    """Divide a data set by its lists `train.txt`, `val.txt` and `test.txt`; without lists, draw as the paper did.

    Args:
        root: the folder of the lists.
        names: of all rows, in the table's order.
        held_out: see draw_split.
    Returns:
        The split of each name.
    Raises:
        FileMissingError: some of the lists exist, but not all.
    """
    if not any((root / f"{split}.txt").is_file() for split in SPLITS[:3]):
        return draw_split(names, held_out=held_out)
    return {name: split for split in SPLITS[:3] for name in read_list(root / f"{split}.txt")}
