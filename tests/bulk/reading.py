"""What a run left in its folder, read without this project's code."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(out: Path) -> Any:
    """All shards as one table."""
    return pa.concat_tables([pq.read_table(path) for path in sorted((out / "vectors").glob("*.parquet"))])


def read_ids(out: Path) -> list[str]:
    """The ids of all rows, sorted; an id that is there twice is listed twice."""
    return sorted(read_table(out).column("id").to_pylist())


def read_failures(out: Path) -> dict[str, str]:
    """Codes of failures.csv by id."""
    path = out / "failures.csv"
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["id"]: row["code"] for row in csv.DictReader(file)}
