"""Forgets old versions of a collection in PostgreSQL, and indexes it."""

from __future__ import annotations

from psycopg.sql import SQL, Composed, Identifier

from search.postgres_database import About, Connection
from search.settings import SearchSettings

# pgvector's limit for an index of float32.
_MOST_INDEXED_DIMENSIONS = 2000
# A graph is built in memory if it fits: 100,000 vectors of 768 numbers take 400 MB with their neighbours. Beyond this
# much the build goes on, slower, on the disk.
_MOST_BUILD_BYTES = 2 * 1024**3
_BYTES_OF_NEIGHBOURS = 300
_IS_INDEXED = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


def needs_upkeep(connection: Connection, about: About, settings: SearchSettings) -> bool:
    """Whether a collection has so many entries without an index that searches suffer, or versions to forget."""
    oldest = connection.execute(
        "SELECT min(version) FROM signclip.versions WHERE key = %s AND created < now() - make_interval(secs => %s)",
        (about.key, settings.keep_s),
    ).fetchone()
    is_old = oldest is not None and oldest[0] is not None and oldest[0] < about.version
    return is_old or (_is_indexable(about, settings) and not _is_indexed(connection, about))


def maintain_collection(connection: Connection, about: About, settings: SearchSettings) -> None:
    """Forget versions that are too old, and index a collection if it is large enough for that.

    Args:
        connection: in no transaction.
    Raises:
        psycopg.Error: the server refuses.
    """
    locked = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (about.key,)).fetchone()
    if locked != (True,):  # another process does it
        return
    try:
        _forget_versions(connection, about, settings)
        if _is_indexable(about, settings) and not _is_indexed(connection, about):
            _build_index(connection, about)
        connection.execute(SQL("VACUUM (ANALYZE) {}").format(about.table))
    finally:
        connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (about.key,))


def _is_indexable(about: About, settings: SearchSettings) -> bool:
    return about.entries > settings.flat_rows and about.dimensions <= _MOST_INDEXED_DIMENSIONS


def _is_indexed(connection: Connection, about: About) -> bool:
    return connection.execute(_IS_INDEXED, (_name_index(about).as_string(),)).fetchone() == (True,)


def _name_index(about: About) -> Composed:
    return SQL("signclip.{}").format(Identifier(f"vectors_{about.key}"))


def _forget_versions(connection: Connection, about: About, settings: SearchSettings) -> None:
    with connection.transaction():
        connection.execute(
            "DELETE FROM signclip.versions WHERE key = %s AND version < %s "
            "AND created < now() - make_interval(secs => %s)",
            (about.key, about.version, settings.keep_s),
        )
        kept = SQL("(SELECT min(version) FROM signclip.versions WHERE key = %s)")
        connection.execute(SQL("DELETE FROM {} WHERE until <= {}").format(about.table, kept), (about.key,))


def _build_index(connection: Connection, about: About) -> None:
    size = min(_MOST_BUILD_BYTES, about.entries * (4 * about.dimensions + _BYTES_OF_NEIGHBOURS))
    connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (f"{max(64 * 1024, size // 1024)}kB",))
    try:
        # What an interrupted build left is not used, and would be in the way.
        connection.execute(SQL("DROP INDEX IF EXISTS {}").format(_name_index(about)))
        connection.execute(
            # Concurrently: entries are stored and searched meanwhile.
            SQL("CREATE INDEX CONCURRENTLY {} ON {} USING hnsw (vector vector_cosine_ops) WHERE until IS NULL").format(
                Identifier(f"vectors_{about.key}"), about.table
            )
        )
    finally:
        connection.execute("RESET maintenance_work_mem")
