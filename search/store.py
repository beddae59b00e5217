"""The store on LanceDB: a folder, or a place in an object store, that any number of processes read and write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from search.conditions import write_created, write_ids, write_sql
from search.entries import Collection, Entry, check_collection_name, check_entry
from search.errors import (
    CollectionExistsError,
    CollectionUnknownError,
    EntryUnknownError,
    SpaceMismatchError,
    StoreError,
)
from search.filters import EVERYTHING, Filter
from search.finding import MAPPED_FOR_FILTERS, collect_columns, find_in_snapshot, find_in_table
from search.gathering import GatheredWrites
from search.interface import DEFAULT_SEARCH, Columns, Hit, SearchOptions, Vectors
from search.lance_attachments import TABLE as ATTACHMENTS
from search.lance_attachments import LanceAttachments
from search.lance_errors import translate_errors
from search.lance_tables import About, LanceTables, read_batches
from search.lance_upkeep import maintain_table, needs_upkeep
from search.rows import LIGHT_COLUMNS, read_rows, write_rows
from search.settings import SearchSettings
from search.snapshots import Snapshot, Snapshots
from search.upkeep import Upkeep

# Rows that are read together: for a snapshot without poses, for an export with them (0.3 MB each).
_READ_ROWS = 8192
_EXPORT_ROWS = 256
_DESCRIPTION = "description"
# Times that an entry is changed anew, because another machine has changed it meanwhile.
_MOST_CHANGES = 20


class LanceStore:
    """A store in a folder or in an object store. Open it after a fork, because LanceDB's threads do not survive one.

    Args:
        settings: say where it lies and how it is kept.
    Raises:
        StoreError: the place cannot be opened.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self._settings = settings
        self._tables = LanceTables(settings.dir)
        self._snapshots = Snapshots(self._tables.own_folder / "snapshots")
        self._attachments = LanceAttachments(self._tables)
        self._guard = threading.Lock()
        self._writes: dict[str, GatheredWrites[Entry]] = {}
        self._upkeep: Upkeep | None = None

    def start_upkeep(self) -> None:
        """Compact and index collections in the background, unless another process of this machine does it."""
        if self._settings.maintain_s > 0:
            self._upkeep = Upkeep(self._settings, self._tables.own_folder / "upkeep.lock", self.list_worn)
            self._upkeep.start()

    def create_collection(self, name: str, *, space: str, dimensions: int, description: str = "") -> Collection:
        """See Store.create_collection.

        Raises:
            CollectionExistsError: it exists with another space or other dimensions.
        """
        check_collection_name(name)
        with self._tables.lock(name):
            self._tables.create(name, About.make(space, dimensions))
            known = self._read_about(name)
            if (known.space, known.dimensions) != (space, dimensions):
                raise CollectionExistsError(
                    f"collection {name!r} exists with space {known.space!r} and {known.dimensions} dimensions, not "
                    f"{space!r} and {dimensions}; choose another name, or delete it first"
                )
            self._attachments.write(name, _DESCRIPTION, description.encode())
        return self.describe_collection(name)

    def list_collections(self) -> list[Collection]:
        """See Store.list_collections."""
        found = []
        for name in self._tables.list_names():
            with suppress(CollectionUnknownError):  # deleted meanwhile, or no collection
                found.append(self.describe_collection(name))
        return found

    def describe_collection(self, name: str) -> Collection:
        """See Store.describe_collection."""
        table = self._tables.open(name)
        with translate_errors(name):
            about = About.read(table)
            rows, version = table.count_rows(), table.version
        description = (self._attachments.read(name, _DESCRIPTION) or b"").decode()
        created = datetime.fromisoformat(about.created)
        return Collection(name, about.space, about.dimensions, description, created, entries=rows, version=version)

    def delete_collection(self, name: str) -> None:
        """See Store.delete_collection."""
        table = self._tables.open(name)
        with translate_errors(name), self._tables.lock(name):
            key = About.read(table).key
            self._tables.drop(name)
            # Before the lock is given up: a new collection of the name may have attachments of its own.
            self._attachments.delete_all(name)
        self._snapshots.forget(key)
        with self._guard:
            self._writes.pop(key, None)

    def upsert(self, name: str, entries: Sequence[Entry]) -> None:
        """See Store.upsert."""
        about = self._read_about(name)
        for entry in entries:
            check_entry(entry, space=about.space, dimensions=about.dimensions)
        if entries:
            self._find_writes(name, about.key).submit(list(entries))

    def change_entry(self, name: str, entry_id: str, change: Callable[[Entry], Entry]) -> Entry:
        """See Store.change_entry.

        Raises:
            EntryUnknownError: there is no such entry.
            StoreError: other machines change it again and again.
        """
        about = self._read_about(name)
        with translate_errors(name), self._tables.lock(name):
            for _ in range(_MOST_CHANGES):
                known = self._find(name, [entry_id]).get(entry_id)
                if known is None:
                    raise EntryUnknownError(f"collection {name!r} has no entry {entry_id[:200]!r}")
                changed = replace(change(known), created=datetime.now(UTC))
                check_entry(changed, space=about.space, dimensions=about.dimensions)
                if self._replace(name, known, changed):
                    return changed
        raise StoreError(f"entry {entry_id[:200]!r} is changed elsewhere again and again; try once more")

    def delete_entries(self, name: str, ids: Sequence[str]) -> int:
        """See Store.delete_entries."""
        table = self._tables.open(name)
        with translate_errors(name), self._tables.lock(name):
            deleted: int = table.delete(write_ids(ids)).num_deleted_rows if ids else 0
        return deleted

    def find_entries(self, name: str, ids: Sequence[str]) -> dict[str, Entry]:
        """See Store.find_entries."""
        with self._tables.translate_errors_of_reading(name):
            return self._find(name, ids)

    def iterate(
        self, name: str, *, filter: Filter = EVERYTHING, version: int | None = None, with_pose: bool = True
    ) -> Iterator[list[Entry]]:
        """See Store.iterate."""
        table = self._tables.check_out(name, self._tables.open(name).version if version is None else version)
        columns = [*LIGHT_COLUMNS, "quality", *(["pose"] if with_pose else [])]
        with self._tables.translate_errors_of_reading(name):
            for batch in read_batches(table, columns, filter, rows=_EXPORT_ROWS):
                yield read_rows(batch)

    def read_columns(self, name: str, *, filter: Filter = EVERYTHING) -> Columns:
        """See Store.read_columns."""
        table = self._tables.open(name)
        with self._tables.translate_errors_of_reading(name):
            return collect_columns(self._find_snapshot(name, table, About.read(table)), filter)

    def count(self, name: str, *, filter: Filter = EVERYTHING) -> int:
        """See Store.count."""
        table = self._tables.open(name)
        with self._tables.translate_errors_of_reading(name):
            rows: int = table.count_rows(write_sql(filter))
        return rows

    def search(self, name: str, queries: Vectors, options: SearchOptions = DEFAULT_SEARCH) -> list[list[Hit]]:
        """See Store.search.

        Raises:
            SpaceMismatchError: queries have other dimensions than the collection.
        """
        table = self._tables.open(name)
        with self._tables.translate_errors_of_reading(name):
            about = About.read(table)
            if queries.ndim != 2 or queries.shape[1] != about.dimensions:
                raise SpaceMismatchError(
                    f"queries have the shape {queries.shape}; collection {name!r} of space {about.space!r} has "
                    f"{about.dimensions} dimensions"
                )
            if self._is_searched_flat(table, about, options):
                snapshot = self._find_snapshot(name, table, about)
                return [find_in_snapshot(snapshot, query, options) for query in queries]
            return [find_in_table(table, query, options) for query in queries]

    def list_versions(self, name: str) -> list[int]:
        """See Store.list_versions."""
        table = self._tables.open(name)
        with translate_errors(name):
            return sorted(int(version["version"]) for version in table.list_versions())

    def restore(self, name: str, version: int) -> None:
        """See Store.restore."""
        with self._tables.lock(name):
            table = self._tables.check_out(name, version)
            with translate_errors(name):
                table.restore()

    def write_attachment(self, name: str, key: str, content: bytes) -> None:
        """See Store.write_attachment."""
        self._read_about(name)
        with self._tables.lock(name):
            self._read_about(name)  # a collection that was deleted meanwhile must leave nothing to the next of its name
            self._attachments.write(name, key, content)

    def read_attachment(self, name: str, key: str) -> bytes | None:
        """See Store.read_attachment."""
        self._tables.open(name)
        return self._attachments.read(name, key)

    def maintain(self, name: str) -> None:
        """See Store.maintain. Attachments are looked after with every collection, and by the name of their table."""
        if name != ATTACHMENTS:
            table = self._tables.open(name)
            with translate_errors(name):
                maintain_table(table, self._settings)
        self._attachments.maintain(self._settings.keep_s)

    def list_worn(self) -> list[str]:
        """List the collections that need upkeep, and the table of attachments if it does."""
        worn = []
        for name in self._tables.list_names():
            with suppress(CollectionUnknownError), translate_errors(name):  # deleted meanwhile, or no collection
                if needs_upkeep(self._tables.open(name), self._settings):
                    worn.append(name)
        return [*worn, ATTACHMENTS] if self._attachments.needs_upkeep() else worn

    def close(self) -> None:
        """See Store.close."""
        if self._upkeep is not None:
            self._upkeep.stop()
        self._tables.close()

    def _read_about(self, name: str) -> About:
        table = self._tables.open(name)
        with translate_errors(name):
            return About.read(table)

    def _is_searched_flat(self, table: Any, about: About, options: SearchOptions) -> bool:
        if options.mode != "auto":
            return options.mode == "exact"
        rows, most = table.count_rows(), self._settings.flat_rows
        if rows > most:
            # Of a larger collection too, what a selective filter keeps is compared faster than the index is searched.
            if options.filter.is_empty or rows > MAPPED_FOR_FILTERS * most:
                return False
            rows = table.count_rows(write_sql(options.filter))
        return rows <= most and self._snapshots.is_cheap(about.key, table.version)

    def _find_snapshot(self, name: str, table: Any, about: About) -> Snapshot:
        version = table.version

        def read() -> Iterator[Any]:
            checked_out = self._tables.check_out_last(name, version, key=about.key)
            return read_batches(checked_out, LIGHT_COLUMNS, EVERYTHING, rows=_READ_ROWS)

        return self._snapshots.find(about.key, version, read)

    def _find_writes(self, name: str, key: str) -> GatheredWrites[Entry]:
        with self._guard:
            return self._writes.setdefault(key, GatheredWrites(lambda entries: self._write(name, key, entries)))

    def _write(self, name: str, key: str, entries: Sequence[Entry]) -> None:
        with self._tables.lock(name):
            # Entries were checked for the collection with this key. One that took its name may have another space.
            if self._read_about(name).key != key:
                raise CollectionUnknownError.from_replaced(name)
            self._commit(name, entries)

    def _find(self, name: str, ids: Sequence[str]) -> dict[str, Entry]:
        table = self._tables.open(name)
        rows = table.search().where(write_ids(ids)).limit(len(ids)).to_arrow() if ids else None
        return {} if rows is None else {entry.id: entry for entry in read_rows(rows)}

    def _replace(self, name: str, known: Entry, changed: Entry) -> bool:
        """Put an entry in the place of one that is known, unless another machine has changed or deleted that."""
        table = self._tables.open(name)
        with translate_errors(name):
            rows = write_rows([changed], About.read(table).dimensions)
            unchanged = write_created("target.created", "=", cast(datetime, known.created))
            done = table.merge_insert("id").when_matched_update_all(where=unchanged).execute(rows)
        return bool(done.num_updated_rows)

    def _commit(self, name: str, entries: Sequence[Entry]) -> None:
        table = self._tables.open(name)
        with translate_errors(name):
            rows = write_rows(entries, About.read(table).dimensions)
            table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)
