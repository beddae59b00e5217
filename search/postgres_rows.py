"""Entries as rows of PostgreSQL tables; between the two stand the Arrow tables that all stores share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from psycopg.sql import SQL, Identifier

from search.conditions import write_parameters
from search.entries import Entry, Vector
from search.filters import EVERYTHING, Filter
from search.finding import CANDIDATE_COLUMNS
from search.interface import Vectors
from search.postgres_database import About, Connection, add_version
from search.rows import LIGHT_COLUMNS, make_schema, read_rows, read_vectors, write_rows
from search.vectors import scale_to_unit

ENTRY_COLUMNS = (*(name for name in LIGHT_COLUMNS if name not in ("labels", "pose_bytes")), "quality", "pose")
# Candidates that pgvector's search keeps in view: recall@10 was 1.0 at 100,000 vectors with 100. 1000 is its most.
_LEAST_EFFORT, _MOST_EFFORT = 100, 1000
# The columns of an entry as PostgreSQL's COPY takes them. pgvector has no type of a fixed number; its bytes go as they
# are.
_TYPES = {
    "id": "text",
    "vector": "bytea",
    "kind": "text",
    "gloss": "text",
    "texts": "text[]",
    "sign_language": "text",
    "spoken_language": "text",
    "source": "text",
    "tags": "text",
    "labels": "text[]",
    "pose": "bytea",
    "pose_bytes": "int4",
    "quality": "text",
    "signature": "text",
    "space": "text",
    "created": "timestamptz",
}
# pgvector sends and takes a vector as two numbers of 16 bits, its length and 0, and its numbers, all big-endian.
_HEAD_BYTES = 4


def replace_entries(connection: Connection, about: About, entries: Sequence[Entry]) -> None:
    """Put entries in the place of those with their ids, as the next version; of equal ids the last one stays.

    Raises:
        psycopg.Error: the server refuses.
    """
    rows = write_rows(entries, about.dimensions)
    columns = {name: rows.column(name).to_pylist() for name in _TYPES if name != "vector"}
    replaced = close_entries(connection, about, columns["id"])
    columns["vector"] = pack_vectors(read_vectors(rows))
    names = SQL(", ").join(map(Identifier, _TYPES))
    statement = SQL("COPY {} (since, {}) FROM STDIN (FORMAT BINARY)").format(about.table, names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["int8", *_TYPES.values()])
        for row in zip(*(columns[name] for name in _TYPES), strict=True):
            copy.write_row((about.version + 1, *row))
    add_version(connection, about, entries=about.entries - replaced + int(rows.num_rows))


def close_entries(connection: Connection, about: About, ids: Sequence[str]) -> int:
    """End entries with the present version of a collection; returns how many there were.

    Raises:
        psycopg.Error: the server refuses.
    """
    statement = SQL("UPDATE {} SET until = %s WHERE until IS NULL AND id = ANY(%s)").format(about.table)
    return connection.execute(statement, (about.version + 1, _drop_nul(ids))).rowcount


def restore_entries(connection: Connection, about: About, version: int) -> None:
    """Make the entries of an earlier version those of the next one.

    Raises:
        psycopg.Error: the server refuses.
    """
    names = SQL(", ").join(map(Identifier, _TYPES))
    after = about.version + 1
    connection.execute(
        SQL("UPDATE {} SET until = %s WHERE until IS NULL AND since > %s").format(about.table), (after, version)
    )
    connection.execute(
        SQL(
            "INSERT INTO {table} (since, {names}) SELECT %s, {names} FROM {table} WHERE since <= %s AND until > %s"
        ).format(table=about.table, names=names),
        (after, version, version),
    )
    add_version(connection, about, entries=count_entries(connection, about, EVERYTHING))


def count_entries(connection: Connection, about: About, filter: Filter) -> int:
    """Count the entries that a filter keeps.

    Raises:
        psycopg.Error: the server refuses.
    """
    condition, parameters = write_parameters(filter)
    statement = SQL("SELECT count(*) FROM {} WHERE until IS NULL" + condition).format(about.table)
    found = connection.execute(statement, parameters).fetchone()
    return 0 if found is None else int(found[0])


def find_entries(connection: Connection, about: About, ids: Sequence[str]) -> dict[str, Entry]:
    """Find entries by their ids, with their poses.

    Raises:
        psycopg.Error: the server refuses.
    """
    statement = SQL("SELECT {} FROM {} WHERE until IS NULL AND id = ANY(%s)")
    rows = _fetch(connection, about, statement, ENTRY_COLUMNS, [_drop_nul(ids)])
    return {entry.id: entry for entry in read_rows(rows)}


def read_page(
    connection: Connection, about: About, columns: Sequence[str], *, filter: Filter, after: str, rows: int
) -> Any:
    """Read columns of a version of a collection in the order of the ids, so many rows behind an id.

    Returns:
        An Arrow table.
    Raises:
        psycopg.Error: the server refuses.
    """
    condition, parameters = write_parameters(filter)
    statement = SQL(
        "SELECT {} FROM {} WHERE since <= %s AND (until IS NULL OR until > %s) AND id > %s"
        + condition
        + " ORDER BY id LIMIT %s"
    )
    return _fetch(connection, about, statement, columns, [about.version, about.version, after, *parameters, rows])


def fetch_nearest(connection: Connection, about: About, query: Vector, *, filter: Filter, wanted: int) -> Any:
    """Fetch the entries that are nearest to a query by the index, or by comparing all where there is none.

    Args:
        connection: in a transaction.
        query: float32 (dim,).
        wanted: rows; there are fewer only where the filter keeps no more.
    Returns:
        An Arrow table with CANDIDATE_COLUMNS.
    Raises:
        psycopg.Error: the server refuses.
    """
    condition, parameters = write_parameters(filter)
    effort = min(_MOST_EFFORT, max(_LEAST_EFFORT, 2 * wanted))
    connection.execute(
        # The search goes on until it has as many rows as are wanted that the filter keeps.
        "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true), "
        "set_config('jit', 'off', true)",
        (str(effort),),
    )
    statement = SQL("SELECT {} FROM {} WHERE until IS NULL" + condition + " ORDER BY vector <=> %s::vector LIMIT %s")
    complete = [*parameters, _write_vector(scale_to_unit(query)), wanted]
    rows = _fetch(connection, about, statement, CANDIDATE_COLUMNS, complete)
    if rows.num_rows < wanted and not filter.is_empty:
        # pgvector gives up after 20,000 entries (hnsw.max_scan_tuples), whether or not the filter kept any of them.
        connection.execute("SELECT set_config('enable_indexscan', 'off', true)")
        rows = _fetch(connection, about, statement, CANDIDATE_COLUMNS, complete)
    return rows


def _fetch(
    connection: Connection, about: About, statement: SQL, columns: Sequence[str], parameters: Sequence[Any]
) -> Any:
    """Fetch columns of a collection's table as an Arrow table; the statement has a place for both."""
    complete = statement.format(SQL(", ").join(map(Identifier, columns)), about.table)
    with connection.cursor(binary=True) as cursor:
        return make_table(cursor.execute(complete, parameters).fetchall(), columns, about.dimensions)


def _drop_nul(ids: Sequence[str]) -> list[str]:
    """Leave out ids that PostgreSQL cannot compare, and so cannot have."""
    return [entry_id for entry_id in ids if "\0" not in entry_id]


def make_table(rows: Sequence[Sequence[Any]], columns: Sequence[str], dimensions: int) -> Any:
    """Make an Arrow table of rows that were read in PostgreSQL's binary form.

    Args:
        columns: of the rows, in their order.
        dimensions: of the vectors.
    """
    schema = make_schema(dimensions)
    values = dict(zip(columns, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(columns, ())
    arrays = []
    for name in columns:
        if name == "vector":
            unpacked = unpack_vectors(values[name], dimensions)
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(unpacked.ravel()), dimensions))
        else:
            arrays.append(pa.array(values[name], schema.field(name).type))
    return pa.table(arrays, schema=pa.schema([schema.field(name) for name in columns]))


def pack_vectors(vectors: Vectors) -> list[bytes]:
    """Write vectors, float32 (rows, dim), as pgvector takes them."""
    head = np.array([vectors.shape[1], 0], ">u2").tobytes()
    return [head + row.tobytes() for row in vectors.astype(">f4")]


def unpack_vectors(packed: Sequence[bytes], dimensions: int) -> Vectors:
    """Read vectors that pgvector sent, float32 (rows, dim)."""
    whole = np.frombuffer(b"".join(packed), np.uint8).reshape(len(packed), _HEAD_BYTES + 4 * dimensions)
    return cast(Vectors, np.ascontiguousarray(whole[:, _HEAD_BYTES:]).view(">f4").astype(np.float32))


def _write_vector(vector: Vector) -> str:
    """Write a vector, float32 (dim,), as pgvector reads it in a statement."""
    return f"[{','.join(map(repr, vector.tolist()))}]"
