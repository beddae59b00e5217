"""A PostgreSQL database with pgvector: its connections, its tables, and the facts about each collection."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.sql import SQL, Composed, Identifier
from psycopg_pool import ConnectionPool

from search.entries import Collection, check_collection_name
from search.errors import CollectionExistsError, CollectionUnknownError, VersionUnknownError
from search.postgres_errors import translate_errors

Connection = psycopg.Connection[Any]
_CONNECT_S = 10
# Of one process: as many as its threads use at once; the others wait for some milliseconds.
_MOST_CONNECTIONS = 8
# Any number, the same in all processes: only one makes the tables of a new database.
_MAKING_TABLES = 0x5167C119
_MAKE_TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE SCHEMA IF NOT EXISTS signclip;
CREATE TABLE IF NOT EXISTS signclip.collections (
    name text COLLATE "C" PRIMARY KEY, key text NOT NULL UNIQUE, space text NOT NULL, dimensions int NOT NULL,
    description text NOT NULL, created timestamptz NOT NULL DEFAULT clock_timestamp(),
    entries bigint NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 1
);
CREATE TABLE IF NOT EXISTS signclip.versions (
    key text NOT NULL REFERENCES signclip.collections (key) ON DELETE CASCADE, version bigint NOT NULL,
    created timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (key, version)
);
CREATE TABLE IF NOT EXISTS signclip.attachments (
    key text NOT NULL REFERENCES signclip.collections (key) ON DELETE CASCADE, name text NOT NULL,
    content bytea NOT NULL, PRIMARY KEY (key, name)
);
"""
# A row is an entry from version `since` on, up to the version `until` that replaced or deleted it. So earlier versions
# can be read, and a reader of one version is not disturbed by writers.
_MAKE_ENTRIES = """
CREATE TABLE {table} (
    id text COLLATE "C" NOT NULL, since bigint NOT NULL, until bigint, vector vector({dimensions}) NOT NULL,
    kind text NOT NULL, gloss text NOT NULL, texts text[] NOT NULL, sign_language text, spoken_language text,
    source text, tags text NOT NULL, labels text[] NOT NULL, pose bytea, pose_bytes int NOT NULL, quality text,
    signature text, space text NOT NULL, created timestamptz NOT NULL, PRIMARY KEY (id, since)
)
"""
# Beside its other columns, which move out of a page of 8 kB where they are long, a vector of so many numbers fits into
# one. Vectors that are kept elsewhere take ten times as long to compare (577 ms in place of 60 ms for 100,000 of 768).
_MOST_INLINE_DIMENSIONS = 1500
_ADD_VERSION = "INSERT INTO signclip.versions (key, version) VALUES (%s, %s)"
_FIND = "SELECT name, key, space, dimensions, description, created, entries, version FROM signclip.collections"


@dataclass(frozen=True)
class About:
    """A collection as it is at one moment.

    Attributes:
        key: unlike a name, it is never used for another collection.
    """

    name: str
    key: str
    space: str
    dimensions: int
    description: str
    created: Any
    entries: int
    version: int

    @property
    def table(self) -> Composed:
        """The name of the table of its entries, for SQL."""
        return SQL("signclip.{}").format(Identifier(f"entries_{self.key}"))

    def describe(self) -> Collection:
        """Describe it as every store does."""
        facts = {name: getattr(self, name) for name in ("name", "space", "dimensions", "description", "created")}
        return Collection(**facts, entries=self.entries, version=self.version)


class PostgresDatabase:
    """One database.

    Args:
        url: postgresql://…, as libpq reads it.
    Raises:
        StoreError: it cannot be reached, or has no pgvector.

    Attributes:
        own_folder: folder of this machine for what can be made again: snapshots and locks.
    """

    def __init__(self, url: str) -> None:
        digest = hashlib.sha256(url.encode()).hexdigest()[:16]
        self.own_folder = Path(tempfile.gettempdir()) / f"signclip-search-{digest}"
        with translate_errors():
            with psycopg.connect(url, connect_timeout=_CONNECT_S) as connection:
                _make_tables(connection)
            # Plans that are made for any filter at all would not use the index.
            options = {"autocommit": True, "prepare_threshold": None, "connect_timeout": _CONNECT_S}
            self._pool = ConnectionPool(
                url,
                min_size=1,
                max_size=_MOST_CONNECTIONS,
                kwargs=options,
                # A connection that broke while it was idle, as when the server was started again, is replaced.
                check=ConnectionPool.check_connection,
                timeout=_CONNECT_S,
                open=True,
            )

    @contextmanager
    def connect(self, name: str | None = None) -> Iterator[Connection]:
        """Use a connection, and translate what goes wrong.

        Args:
            name: the collection that is used; None: none.
        Raises:
            StoreError, CollectionUnknownError: see translate_errors.
        """
        with translate_errors(name), self._pool.connection() as connection:
            yield connection

    def find(self, name: str) -> About:
        """Find a collection.

        Raises:
            CollectionNameError: the name is no name of a collection.
            CollectionUnknownError: there is no such collection.
        """
        with self.connect(name) as connection:
            return _find(connection, name)

    def list_all(self) -> list[About]:
        """List the collections by name."""
        with self.connect() as connection, connection.cursor(row_factory=class_row(About)) as cursor:
            return cursor.execute(f"{_FIND} ORDER BY name").fetchall()

    def create(self, name: str, *, space: str, dimensions: int, description: str) -> About:
        """Create a collection, or describe the one that exists anew.

        Raises:
            CollectionExistsError: it exists with another space or other dimensions.
        """
        check_collection_name(name)
        facts = (name, uuid.uuid4().hex, space, dimensions, description)
        with self.connect() as connection, connection.transaction():
            made = connection.execute(
                "INSERT INTO signclip.collections (name, key, space, dimensions, description) "
                "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING",
                facts,
            )
            about = _find(connection, name, lock=True)
            if (about.space, about.dimensions) != (space, dimensions):
                raise CollectionExistsError(
                    f"collection {name!r} exists with space {about.space!r} and {about.dimensions} dimensions, not "
                    f"{space!r} and {dimensions}; choose another name, or delete it first"
                )
            if made.rowcount:
                _make_entries(connection, about)
            connection.execute("UPDATE signclip.collections SET description = %s WHERE name = %s", (description, name))
        return replace(about, description=description)

    def delete(self, name: str) -> About:
        """Delete a collection with all that belongs to it, and return what it was."""
        with self.connect(name) as connection, connection.transaction():
            about = _find(connection, name, lock=True)
            connection.execute("DELETE FROM signclip.collections WHERE key = %s", (about.key,))
            connection.execute(SQL("DROP TABLE {}").format(about.table))
        return about

    @contextmanager
    def write(self, name: str) -> Iterator[tuple[Connection, About]]:
        """Change the entries of a collection: all that the block does, or nothing. Other writers wait.

        Yields:
            A connection in a transaction, and the collection as it is. The block ends with `add_version`.
        """
        with self.connect(name) as connection, connection.transaction():
            yield connection, _find(connection, name, lock=True)

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self._pool.close()


def add_version(connection: Connection, about: About, *, entries: int) -> None:
    """Make the next version of a collection the last one.

    Args:
        entries: how many it has.
    """
    connection.execute(
        "UPDATE signclip.collections SET version = version + 1, entries = %s WHERE key = %s", (entries, about.key)
    )
    connection.execute(_ADD_VERSION, (about.key, about.version + 1))


def check_version(connection: Connection, about: About, version: int) -> None:
    """Refuse a version that a collection does not have.

    Raises:
        VersionUnknownError: the collection has no such version, or no longer.
    """
    if version not in list_versions(connection, about):
        raise VersionUnknownError(f"collection {about.name!r} has no version {version}, or no longer")


def list_versions(connection: Connection, about: About) -> list[int]:
    """List the versions of a collection that can still be read, oldest first."""
    asked = "SELECT version FROM signclip.versions WHERE key = %s ORDER BY version"
    return [version for (version,) in connection.execute(asked, (about.key,))]


def _find(connection: Connection, name: str, *, lock: bool = False) -> About:
    check_collection_name(name)
    with connection.cursor(row_factory=class_row(About)) as cursor:
        found = cursor.execute(f"{_FIND} WHERE name = %s{' FOR UPDATE' if lock else ''}", (name,)).fetchone()
    if found is None:
        raise CollectionUnknownError.from_name(name)
    return found


def _make_tables(connection: Connection) -> None:
    # Asked first, because even `IF NOT EXISTS` needs rights that the service's user may lack once the tables are there.
    if connection.execute("SELECT to_regclass('signclip.attachments')").fetchone() == (None,):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING_TABLES,))
        connection.execute(_MAKE_TABLES)


def _make_entries(connection: Connection, about: About) -> None:
    connection.execute(SQL(_MAKE_ENTRIES).format(table=about.table, dimensions=SQL(str(about.dimensions))))
    if about.dimensions <= _MOST_INLINE_DIMENSIONS:
        connection.execute(SQL("ALTER TABLE {} ALTER COLUMN vector SET STORAGE PLAIN").format(about.table))
    connection.execute(_ADD_VERSION, (about.key, about.version))
