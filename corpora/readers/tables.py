"""The tables and lists of data sets, read row by row. Errors name the file and the line."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.errors import (
    ColumnMissingError,
    EncodingError,
    FileMissingError,
    RowError,
    SplitMissingError,
)
from corpora.examples import SPLITS, Skipped, Split
from corpora.readers.cells import describe_missing, find_delimiter, split_cells, write_cells
from corpora.readers.faults import describe_no_table, find_encoding_fault, note_fault
from corpora.readers.folders import describe_folder

# Source: sign-language-processing/datasets, splits/1.0.0-uzh/split.py of asl_signs and spread_the_sign.
_SHUFFLE_SEED = 3407


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        path: of the table.
        line: number of the row's last line in the file, from 1; in parquet, the number of the row.
        values: text by column; "" for an empty cell.
        number: of the row, from 0, in which rows that were left out count: lists of splits go by it.
    """

    path: Path
    line: int
    values: dict[str, str]
    number: int = 0

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
    raise FileMissingError(f"{root} has no {' or '.join(names)}; {describe_folder(root)}")


def read_csv(
    path: Path,
    columns: Sequence[str],
    *,
    delimiters: str = ",",
    row_a_line: bool = False,
    skipped: list[Skipped] | None = None,
) -> Iterator[Row]:
    """Read a table with a header line.

    Args:
        path: of a file in UTF-8, with or without a byte order mark.
        columns: that the table must have; other columns are kept too.
        delimiters: tried in this order. The first that finds the columns is used.
        row_a_line: no cell contains a line break, so a single quotation mark does not join the rows after it.
        skipped: rows with more or fewer cells than the header are noted here and left out; None: they are refused.
    Returns:
        The rows, read one by one.
    Raises:
        FileMissingError: the file does not exist.
        ColumnMissingError: the header lacks a column.
        RowError: the file is not UTF-8, or is damaged; or a row has more or fewer cells than the header.
    """
    delimiter = find_delimiter(path, columns, delimiters)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header: list[str] = []
        line, number = 0, -1
        try:
            for line, cells in split_cells(file, delimiter, row_a_line=row_a_line):
                if not header:
                    header = cells
                    continue
                number += 1
                if len(cells) != len(header):
                    fault = RowError(path, line, f"{len(cells)} cells; the header has {len(header)}")
                    if skipped is None:
                        raise fault
                    skipped.append(note_fault(fault))
                else:
                    yield Row(path, line, dict(zip(header, cells, strict=True)), number)
        except UnicodeDecodeError:
            raise find_encoding_fault(path) from None
        except csv.Error as error:
            raise RowError(path, line + 1, str(error)) from None


def read_jsonl(
    path: Path, columns: Sequence[str], *, plain: Sequence[str] = (), skipped: list[Skipped] | None = None
) -> Iterator[Row]:
    """Read a file with one JSON object a line. Numbers become text, and null becomes "".

    Args:
        path: of a file in UTF-8.
        columns: that the first object must have; where a later one lacks them, its row makes no sense.
        plain: columns whose cells are texts or numbers. Lists and objects in other columns become JSON again.
        skipped: rows that make no sense are noted here and left out; None: they are refused.
    Raises:
        FileMissingError, ColumnMissingError, RowError: as read_csv.
    """
    if not path.is_file():
        raise describe_missing(path)
    number = -1
    is_first = True
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            number += 1
            try:
                values = _parse_object(path, line, text)
                _check_columns(path, line, values, columns, is_strict=is_first or skipped is None)
                cells = write_cells(path, line, values, plain=plain)
            except RowError as fault:
                if skipped is None or isinstance(fault, EncodingError):
                    raise
                skipped.append(note_fault(fault))
                continue
            is_first = False
            yield Row(path, line, cells, number)


def _parse_object(path: Path, line: int, text: bytes) -> dict[str, Any]:
    try:
        cells = json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise find_encoding_fault(path) from None
    except (ValueError, RecursionError) as error:  # the last for lists nested thousands deep
        raise RowError(path, line, f"the line is not JSON: {error}") from None
    if not isinstance(cells, dict):
        raise RowError(path, line, "the line is not a JSON object")
    return cells


def _check_columns(path: Path, line: int, cells: dict[str, Any], columns: Sequence[str], *, is_strict: bool) -> None:
    missing = [column for column in columns if column not in cells]
    if missing and is_strict:
        raise ColumnMissingError(f"{path}, line {line}: the object has no {', '.join(missing)}")
    if missing:
        raise RowError(path, line, f"the object has no {', '.join(missing)}")


def read_parquet(path: Path, columns: Sequence[str], *, plain: Sequence[str] = ()) -> Iterator[Row]:
    """Read a parquet table, a batch of rows at a time.

    Args:
        columns: that the table must have.
        plain: as for read_jsonl.
    Raises:
        FileMissingError, ColumnMissingError: as read_csv.
        RowError: the file is not parquet, or it is truncated; or a plain column holds lists or objects.
    """
    import pyarrow as pa  # It costs 100 ms and 60 MB, which data sets without parquet need not pay.
    import pyarrow.parquet as pq

    if not path.is_file():
        raise describe_missing(path)
    try:
        with pq.ParquetFile(path) as file:
            missing = [column for column in columns if column not in file.schema_arrow.names]
            if missing:
                raise ColumnMissingError(f"{path} has no column {', '.join(missing)}; it has {file.schema_arrow.names}")
            line = 0
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    line += 1
                    yield Row(path, line, write_cells(path, line, values, plain=plain), line - 1)
    except (pa.ArrowException, OSError) as error:
        raise RowError(path, 1, describe_no_table(path) or f"the file is not parquet: {error}") from None


def read_list(path: Path) -> list[str]:
    """Read a file with one name a line. Empty lines are skipped.

    Raises:
        FileMissingError, EncodingError: as read_lines.
    """
    return [text for _, text in read_lines(path)]


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Read the lines of a file that are not empty, each with its number, from 1.

    Raises:
        FileMissingError: the file does not exist.
        EncodingError: the file is not UTF-8.
    """
    if not path.is_file():
        raise describe_missing(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise find_encoding_fault(path) from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


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
