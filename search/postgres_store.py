"""The store on PostgreSQL with pgvector, for those who run it already: any number of processes read and write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from search.entries import Collection, Entry, Vector, check_entry
from search.errors import CollectionUnknownError, EntryUnknownError, SpaceMismatchError
from search.filters import EVERYTHING, Filter
from search.finding import MAPPED_FOR_FILTERS, collect_columns, find_among, find_in_snapshot
from search.interface import DEFAULT_SEARCH, Columns, Hit, SearchOptions, Vectors
from search.postgres_database import About, PostgresDatabase, add_version, check_version, list_versions
from search.postgres_errors import translate_errors
from search.postgres_rows import (
    ENTRY_COLUMNS,
    close_entries,
    count_entries,
    fetch_nearest,
    find_entries,
    read_page,
    replace_entries,
    restore_entries,
)
from search.postgres_upkeep import maintain_collection, needs_upkeep
from search.rows import LIGHT_COLUMNS, read_rows
from search.settings import SearchSettings
from search.snapshots import Snapshot, Snapshots
from search.upkeep import Upkeep

# Rows that are read together: for a snapshot without poses, for an export with them (0.3 MB each).
_READ_ROWS = 8192
_EXPORT_ROWS = 256


class PostgresStore:
    """A store in a database. Open it after a fork, because connections do not survive one.

    Args:
        settings: say where it lies and how it is kept.
    Raises:
        StoreError: the database cannot be reached, or has no pgvector.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self._settings = settings
        self._database = PostgresDatabase(settings.dir)
        self._snapshots = Snapshots(self._database.own_folder / "snapshots")
        self._upkeep: Upkeep | None = None

    def start_upkeep(self) -> None:
        """Index collections in the background, unless another process of this machine does it."""
        if self._settings.maintain_s > 0:
            lock = self._database.own_folder / "upkeep.lock"
            self._upkeep = Upkeep(self._settings, lock, self.list_worn)
            self._upkeep.start()

    def create_collection(self, name: str, *, space: str, dimensions: int, description: str = "") -> Collection:
        """See Store.create_collection.

        Raises:
            CollectionExistsError: it exists with another space or other dimensions.
        """
        return self._database.create(name, space=space, dimensions=dimensions, description=description).describe()

    def list_collections(self) -> list[Collection]:
        """See Store.list_collections."""
        return [about.describe() for about in self._database.list_all()]

    def describe_collection(self, name: str) -> Collection:
        """See Store.describe_collection."""
        return self._database.find(name).describe()

    def delete_collection(self, name: str) -> None:
        """See Store.delete_collection."""
        self._snapshots.forget(self._database.delete(name).key)

    def upsert(self, name: str, entries: Sequence[Entry]) -> None:
        """See Store.upsert.

        Raises:
            CollectionUnknownError: another collection took the name meanwhile.
        """
        known = self._database.find(name)
        for entry in entries:
            check_entry(entry, space=known.space, dimensions=known.dimensions)
        if entries:
            with self._database.write(name) as (connection, about):
                # Entries were checked for one collection. Another that took its name may have another space.
                if known.key != about.key:
                    raise CollectionUnknownError.from_replaced(name)
                replace_entries(connection, about, entries)

    def change_entry(self, name: str, entry_id: str, change: Callable[[Entry], Entry]) -> Entry:
        """See Store.change_entry.

        Raises:
            EntryUnknownError: there is no such entry.
        """
        with self._database.write(name) as (connection, about):
            known = find_entries(connection, about, [entry_id]).get(entry_id)
            if known is None:
                raise EntryUnknownError(f"collection {name!r} has no entry {entry_id[:200]!r}")
            changed = replace(change(known), created=datetime.now(UTC))
            check_entry(changed, space=about.space, dimensions=about.dimensions)
            replace_entries(connection, about, [changed])
        return changed

    def delete_entries(self, name: str, ids: Sequence[str]) -> int:
        """See Store.delete_entries."""
        with self._database.write(name) as (connection, about):
            deleted = close_entries(connection, about, ids)
            if deleted:
                add_version(connection, about, entries=about.entries - deleted)
        return deleted

    def find_entries(self, name: str, ids: Sequence[str]) -> dict[str, Entry]:
        """See Store.find_entries."""
        about = self._database.find(name)
        with self._database.connect(name) as connection:
            return find_entries(connection, about, ids)

    def iterate(
        self, name: str, *, filter: Filter = EVERYTHING, version: int | None = None, with_pose: bool = True
    ) -> Iterator[list[Entry]]:
        """See Store.iterate."""
        about = self._database.find(name)
        if version is not None:
            with self._database.connect(name) as connection:
                check_version(connection, about, version)
            about = replace(about, version=version)
        columns = ENTRY_COLUMNS if with_pose else ENTRY_COLUMNS[:-1]
        for page in self._read_pages(about, columns, filter, rows=_EXPORT_ROWS):
            yield read_rows(page)

    def read_columns(self, name: str, *, filter: Filter = EVERYTHING) -> Columns:
        """See Store.read_columns."""
        return collect_columns(self._find_snapshot(self._database.find(name)), filter)

    def count(self, name: str, *, filter: Filter = EVERYTHING) -> int:
        """See Store.count."""
        about = self._database.find(name)
        return about.entries if filter.is_empty else self._count(about, filter)

    def search(self, name: str, queries: Vectors, options: SearchOptions = DEFAULT_SEARCH) -> list[list[Hit]]:
        """See Store.search.

        Raises:
            SpaceMismatchError: queries have other dimensions than the collection.
        """
        about = self._database.find(name)
        if queries.ndim != 2 or queries.shape[1] != about.dimensions:
            raise SpaceMismatchError(
                f"queries have the shape {queries.shape}; collection {name!r} of space {about.space!r} has "
                f"{about.dimensions} dimensions"
            )
        if self._is_searched_flat(about, options):
            snapshot = self._find_snapshot(about)
            return [find_in_snapshot(snapshot, query, options) for query in queries]
        return [self._search_index(about, query, options) for query in queries]

    def list_versions(self, name: str) -> list[int]:
        """See Store.list_versions."""
        about = self._database.find(name)
        with self._database.connect(name) as connection:
            return list_versions(connection, about)

    def restore(self, name: str, version: int) -> None:
        """See Store.restore."""
        with self._database.write(name) as (connection, about):
            check_version(connection, about, version)
            restore_entries(connection, about, version)

    def write_attachment(self, name: str, key: str, content: bytes) -> None:
        """See Store.write_attachment."""
        about = self._database.find(name)
        with self._database.connect(name) as connection:
            connection.execute(
                "INSERT INTO signclip.attachments (key, name, content) VALUES (%s, %s, %s) "
                "ON CONFLICT (key, name) DO UPDATE SET content = EXCLUDED.content",
                (about.key, key, content),
            )

    def read_attachment(self, name: str, key: str) -> bytes | None:
        """See Store.read_attachment."""
        about = self._database.find(name)
        with self._database.connect(name) as connection:
            asked = "SELECT content FROM signclip.attachments WHERE key = %s AND name = %s"
            found = connection.execute(asked, (about.key, key)).fetchone()
        return None if found is None else bytes(found[0])

    def maintain(self, name: str) -> None:
        """See Store.maintain."""
        about = self._database.find(name)
        with self._database.connect(name) as connection:
            maintain_collection(connection, about, self._settings)

    def list_worn(self) -> list[str]:
        """List the collections that need upkeep."""
        worn = []
        for about in self._database.list_all():
            with suppress(CollectionUnknownError), self._database.connect(about.name) as connection:
                if needs_upkeep(connection, about, self._settings):
                    worn.append(about.name)
        return worn

    def close(self) -> None:
        """See Store.close."""
        if self._upkeep is not None:
            self._upkeep.stop()
        self._database.close()

    def _count(self, about: About, filter: Filter) -> int:
        with self._database.connect(about.name) as connection:
            return count_entries(connection, about, filter)

    def _is_searched_flat(self, about: About, options: SearchOptions) -> bool:
        if options.mode != "auto":
            return options.mode == "exact"
        rows, most = about.entries, self._settings.flat_rows
        if rows > most:
            if options.filter.is_empty or rows > MAPPED_FOR_FILTERS * most:
                return False
            rows = self._count(about, options.filter)
        return rows <= most and self._snapshots.is_cheap(about.key, about.version)

    def _find_snapshot(self, about: About) -> Snapshot:
        def read() -> Iterator[Any]:
            for page in self._read_pages(about, LIGHT_COLUMNS, EVERYTHING, rows=_READ_ROWS):
                yield from page.to_batches()

        with translate_errors(about.name):
            return self._snapshots.find(about.key, about.version, read)

    def _read_pages(self, about: About, columns: Sequence[str], filter: Filter, *, rows: int) -> Iterator[Any]:
        """Read a version of a collection page by page. Between two pages no connection is held."""
        last: str | None = ""
        while last is not None:
            with self._database.connect(about.name) as connection:
                page = read_page(connection, about, columns, filter=filter, after=last, rows=rows)
            if page.num_rows:
                yield page
            last = page.column("id")[-1].as_py() if page.num_rows == rows else None

    def _search_index(self, about: About, query: Vector, options: SearchOptions) -> list[Hit]:
        def fetch(filter: Filter, wanted: int) -> Any:
            with self._database.connect(about.name) as connection, connection.transaction():
                return fetch_nearest(connection, about, query, filter=filter, wanted=wanted)

        return find_among(fetch, query, options)
