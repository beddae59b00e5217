"""The rows of a run as Arrow tables: what shards, the journal and collections have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from bulk.items import Failure, Item, make_writable
from models.vectors import Vectors

# What a collection takes at most (search/entries.py); longer texts stay in the column text alone.
_MAX_CHARS, _MAX_TAGS, _MAX_TAG_CHARS = 1000, 32, 64
_TEXT_COLUMNS = ("id", "kind", "source", "text", "gloss", "sign_language", "spoken_language")
_OWN = (
    *_TEXT_COLUMNS,
    "vector",
    "texts",
    "tags",
    "quality",
    "error",
    "signature",
    "space",
    "created",
    "pose",
    "labels",
)


@dataclass(frozen=True)
class Row:
    """An item and what became of it.

    Attributes:
        quality: the report on a clip, as JSON; "" where there is none.
        failure: why it has no vector; None where it has one.
    """

    item: Item
    signature: str
    quality: str = ""
    failure: Failure | None = None


def name_columns(columns: Sequence[str]) -> dict[str, str]:
    """Name a source's own columns beside ours: those of equal names get `source_` before them."""
    named: dict[str, str] = {}
    for column in columns:
        name = column
        while name in _OWN or name in named.values():
            name = f"source_{name}"
        named[column] = name
    return named


def make_schema(dimensions: int, columns: Sequence[str]) -> Any:
    """Make the schema of a run's files.

    Args:
        dimensions: numbers in a vector.
        columns: the source's own, which are kept as text.
    """
    own = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float32(), dimensions), nullable=False),
        *(pa.field(name, pa.string()) for name in ("kind", "source", "text", "gloss")),
        pa.field("texts", pa.list_(pa.string())),
        *(pa.field(name, pa.string()) for name in ("sign_language", "spoken_language", "tags", "quality")),
        *(pa.field(name, pa.string(), nullable=False) for name in ("error", "signature", "space")),
    ]
    return pa.schema([*own, *(pa.field(name, pa.string()) for name in name_columns(columns).values())])


def write_rows(rows: Sequence[Row], vectors: Vectors | None, schema: Any, *, space: str) -> Any:
    """Write rows as an Arrow table.

    Args:
        vectors: float32 (rows, dimensions) of length 1; None: the rows have failed, and the table has no such column,
            because Arrow does not read back vectors of a fixed length where some are missing.
        schema: of make_schema.
        space: of the vectors.
    """
    items = [make_writable(row.item) for row in rows]
    own: dict[str, Any] = {
        "gloss": [_fit(item.label or item.text) if item.kind == "pose" else "" for item in items],
        "texts": [[item.text] if _fit(item.text) else [] for item in items],
        "tags": [_write_tags(item) for item in items],
        "quality": [row.quality or None for row in rows],
        "error": ["" if row.failure is None else f"{row.failure.code}: {row.failure.detail}" for row in rows],
        "signature": [row.signature for row in rows],
        "space": [space] * len(rows),
        **{name: [getattr(item, name) for item in items] for name in _TEXT_COLUMNS if name != "gloss"},
    }
    if vectors is None:
        schema = schema.remove(schema.get_field_index("vector"))
    else:
        numbers = pa.array(np.ascontiguousarray(vectors).ravel())
        own["vector"] = pa.FixedSizeListArray.from_arrays(numbers, vectors.shape[1])
    # Rows that could not be read have no facts; all others have those of the same columns.
    columns = next((list(item.facts) for item in items if item.facts), [])
    facts = {name: column for column, name in name_columns(columns).items()}
    arrays = [
        _make_array(own[field.name], field.type)
        if field.name in own
        else pa.array([item.facts.get(facts.get(field.name, field.name), "") for item in items], field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _make_array(values: Any, kind: Any) -> Any:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _fit(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else ""


def _write_tags(item: Item) -> str | None:
    """Write a source's own columns as tags of a collection, as far as they fit there."""
    tags = {
        name: value
        for name, value in item.facts.items()
        if value and len(value) <= _MAX_CHARS and 0 < len(name) <= _MAX_TAG_CHARS and "=" not in name
    }
    return orjson.dumps(dict(list(tags.items())[:_MAX_TAGS])).decode() if tags else None
