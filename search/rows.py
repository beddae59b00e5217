"""Entries as rows of Arrow tables, which LanceDB, Parquet files and snapshots hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa

from search.entries import Entry, Kind, Tag, Vector
from search.errors import EntryInvalidError
from search.filters import make_tag_label
from search.interface import Vectors

# Everything but the pose and the report on it, which searching does not need.
LIGHT_COLUMNS = (
    *("id", "vector", "kind", "gloss", "texts", "sign_language", "spoken_language", "source", "tags", "labels"),
    *("pose_bytes", "signature", "space", "created"),
)
# Lance compares the keys of upserts that overlap in time where a field is marked so. Without the mark, two processes
# have both inserted one id into an empty collection (in S3, 1 of 2 runs).
_UNIQUE = {b"lance-schema:unenforced-primary-key": b"true"}
_TIME = pa.timestamp("us", tz="UTC")
# What rounding to float32 does at most to the squared length of a vector of length 1: 2^-22, a little more than that.
_ROUNDING_OF_UNIT = 2.5e-7


def make_schema(dimensions: int, metadata: Mapping[bytes, bytes] | None = None) -> Any:
    """Make the Arrow schema of a collection, whose vectors have this many numbers."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=_UNIQUE),
            pa.field("vector", pa.list_(pa.float32(), dimensions), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("gloss", pa.string(), nullable=False),
            pa.field("texts", pa.list_(pa.string()), nullable=False),
            pa.field("sign_language", pa.string()),
            pa.field("spoken_language", pa.string()),
            pa.field("source", pa.string()),
            # As JSON, because each entry may have other names; labels are what filters compare.
            pa.field("tags", pa.string(), nullable=False),
            pa.field("labels", pa.list_(pa.string()), nullable=False),
            pa.field("pose", pa.large_binary()),
            # 0: no pose. To ask the pose itself would read it.
            pa.field("pose_bytes", pa.int32(), nullable=False),
            pa.field("quality", pa.string()),
            pa.field("signature", pa.string()),
            pa.field("space", pa.string(), nullable=False),
            pa.field("created", _TIME, nullable=False),
        ],
        metadata=metadata,
    )


def write_rows(entries: Sequence[Entry], dimensions: int) -> Any:
    """Write entries as an Arrow table; of entries with equal ids the last one stays.

    Args:
        dimensions: of every vector.
    """
    unique = list({entry.id: entry for entry in entries}.values())
    now = datetime.now(UTC)
    vectors = normalize(np.stack([entry.vector for entry in unique])) if unique else np.zeros((0, dimensions), "f4")
    schema = make_schema(dimensions)
    columns = {name: pa.array(values, schema.field(name).type) for name, values in _list_columns(unique, now).items()}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimensions)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def normalize(vectors: Vectors) -> Vectors:
    """Scale each row of float32 (rows, dim) to length 1; no row is 0. A row of length 1 stays as it is, to the bit."""
    squares = np.einsum("rd,rd->r", vectors, vectors, dtype=np.float64)
    # Divided again, a vector would move a little with every change of its entry, and with every export and import.
    squares[np.abs(squares - 1) <= _ROUNDING_OF_UNIT] = 1
    scaled: Vectors = vectors / np.sqrt(squares).astype(np.float32)[:, None]
    return scaled


def read_rows(table: Any, *, space: str = "") -> list[Entry]:
    """Read the entries of an Arrow table or batch, which may lack every column but id and vector.

    Args:
        space: of rows that do not name it.
    Raises:
        EntryInvalidError: a column is missing or of another type.
    """
    vectors = read_vectors(table)
    names = [name for name in table.schema.names if name != "vector"]
    if "id" not in names:
        raise EntryInvalidError("there is no column 'id'")
    try:
        columns = {name: table.column(name).to_pylist() for name in names}
        rows = ({name: columns[name][row] for name in names} for row in range(table.num_rows))
        return [_read_row(row, vector, space) for row, vector in zip(rows, vectors, strict=True)]
    except (TypeError, ValueError, OverflowError) as error:
        raise EntryInvalidError(
            "a row holds what no entry can: tags and quality are JSON objects, texts a list of texts, created a time"
        ) from error


def read_vectors(table: Any) -> Vectors:
    """Read the vectors of an Arrow table or batch, float32 (rows, dim).

    Raises:
        EntryInvalidError: there is no column of vectors of one length.
    """
    if "vector" not in table.schema.names:
        raise EntryInvalidError("there is no column 'vector'")
    column = table.column("vector")
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        parts = [chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, kind.list_size) for chunk in chunks]
        found = np.concatenate(parts) if len(parts) > 1 else (parts[0] if parts else np.zeros((0, kind.list_size)))
    else:
        found = _read_lists(column.to_pylist())
    if len(found) != table.num_rows:
        raise EntryInvalidError("a row has no vector")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which no entry may be
        return cast(Vectors, found.astype(np.float32, copy=False))


def _read_lists(rows: list[Any]) -> Vectors:
    """Read vectors that are lists of no fixed length, float32 (rows, dim)."""
    try:
        if len({len(row or ()) for row in rows}) > 1 or not all(rows):
            raise EntryInvalidError("the vectors have different lengths")
        with np.errstate(over="ignore"):
            return np.array(rows, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EntryInvalidError("column 'vector' must hold lists of numbers") from error


def _list_columns(entries: Sequence[Entry], now: datetime) -> dict[str, list[Any]]:
    # Column by column, because a dictionary for each entry would take as long as storing it.
    return {
        "id": [entry.id for entry in entries],
        "kind": [entry.kind for entry in entries],
        "gloss": [entry.gloss for entry in entries],
        "texts": [entry.texts for entry in entries],
        "sign_language": [entry.sign_language for entry in entries],
        "spoken_language": [entry.spoken_language for entry in entries],
        "source": [entry.source for entry in entries],
        "tags": [orjson.dumps(dict(entry.tags)).decode() if entry.tags else "{}" for entry in entries],
        "labels": [[make_tag_label(name, value) for name, value in entry.tags.items()] for entry in entries],
        "pose": [entry.pose for entry in entries],
        "pose_bytes": [len(entry.pose or b"") for entry in entries],
        "quality": [None if entry.quality is None else orjson.dumps(dict(entry.quality)).decode() for entry in entries],
        "signature": [entry.signature for entry in entries],
        "space": [entry.space for entry in entries],
        "created": [entry.created or now for entry in entries],
    }


def _read_row(row: Mapping[str, Any], vector: Vector, space: str) -> Entry:
    quality, created = row.get("quality"), row.get("created")
    return Entry(
        row["id"] or "",
        vector,
        cast(Kind, row.get("kind") or "pose"),
        row.get("space") or space,
        signature=row.get("signature"),
        gloss=row.get("gloss") or "",
        texts=tuple(text for text in row.get("texts") or () if text is not None),
        sign_language=row.get("sign_language"),
        spoken_language=row.get("spoken_language"),
        source=row.get("source"),
        tags=read_tags(row.get("tags")),
        pose=row.get("pose") or None,  # tables write empty bytes where there is none
        quality=None if quality is None else _read_object(quality),
        created=created,
    )


def read_tags(text: str | None) -> dict[str, Tag]:
    """Read the tags of a row.

    Raises:
        ValueError: they are no JSON object.
    """
    return _read_object(text) if text else {}


def _read_object(text: str) -> dict[str, Any]:
    found = orjson.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"a JSON {type(found).__name__} where an object is needed")
    return found
