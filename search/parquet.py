"""Collections as Parquet files, with vectors, poses and all that is known about the entries."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from search.entries import Entry
from search.errors import EntryInvalidError
from search.rows import make_schema, read_rows, write_rows

# Entries that are read and stored together: their poses take some megabytes, and a commit's milliseconds do not count.
_ROWS_AT_ONCE = 1024
# Columns that are made from others when entries are stored.
_DERIVED = ("labels", "pose_bytes")


class _Pipe(io.RawIOBase):
    """What was written and not yet taken."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(memoryview(data))  # type: ignore[arg-type]
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def write_parquet(batches: Iterable[list[Entry]], dimensions: int) -> Iterator[bytes]:
    """Write entries as one Parquet file, piece by piece.

    Args:
        dimensions: of every vector.
    Yields:
        Pieces of the file, in order; only one batch of entries is in memory at a time.
    """
    pipe = _Pipe()
    schema = make_schema(dimensions)
    for name in _DERIVED:
        schema = schema.remove(schema.get_field_index(name))
    with pq.ParquetWriter(pipe, schema, compression="zstd") as writer:
        for entries in batches:
            writer.write_table(write_rows(entries, dimensions).select(schema.names))
            yield pipe.take()
    yield pipe.take()


def read_parquet(path: Path, *, space: str) -> Iterator[list[Entry]]:
    """Read the entries of a Parquet file in batches.

    Args:
        path: a file with the columns id and vector; the other columns of an export may be missing.
        space: of vectors in a file that does not name it.
    Raises:
        EntryInvalidError: the file is no Parquet file, is damaged, or lacks a column.
    """
    try:
        with pq.ParquetFile(path) as file:
            found = file.schema_arrow.names
            names = [name for name in make_schema(1).names if name in found and name not in _DERIVED]
            if twice := [name for name in names if found.count(name) > 1]:
                raise EntryInvalidError(f"the file has {found.count(twice[0])} columns {twice[0]!r}; leave one")
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=names):
                yield read_rows(_cast(batch), space=space)
    except EntryInvalidError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise EntryInvalidError(
            "the file cannot be read as Parquet: it is damaged, cut off or of another kind; write or send it anew"
        ) from error


def _cast(batch: Any) -> Any:
    """Give the columns of a file the types of a collection, but for the vectors, whose length is not known."""
    types = {field.name: field.type for field in make_schema(1) if field.name != "vector"}
    columns = []
    for name in batch.schema.names:
        column = batch.column(name)
        try:
            columns.append(column.cast(types.get(name, column.type)))
        except pa.ArrowException as error:
            raise EntryInvalidError(
                f"column {name!r} is of type {column.type}, but must be {types[name]}, or what can be read as that"
            ) from error
    return pa.table(columns, names=batch.schema.names)
