"""The tables of a LanceDB: opened once a process, and locked against other writers of the same machine."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lancedb
import orjson

from processes.files import hold_lock
from search.conditions import write_sql
from search.entries import check_collection_name, is_collection_name
from search.errors import CollectionUnknownError, VersionUnknownError
from search.filters import Filter
from search.lance_errors import is_of_missing_table, translate_errors
from search.rows import make_schema
from search.store_faults import make_store_error

# Key of the facts about a collection in the metadata of its table.
_ABOUT = b"signclip"


@dataclass(frozen=True)
class About:
    """What is fixed when a collection is created.

    Attributes:
        key: unlike a name, it is never used for another collection.
        created: time of its creation, ISO 8601.
    """

    key: str
    space: str
    dimensions: int
    created: str

    @classmethod
    def make(cls, space: str, dimensions: int) -> About:
        """Make the facts about a new collection."""
        return cls(uuid.uuid4().hex, space, dimensions, datetime.now(UTC).isoformat())

    @classmethod
    def read(cls, table: Any) -> About:
        """Read the facts about the collection that a table holds.

        Raises:
            CollectionUnknownError: the table is somebody else's, and holds no collection.
        """
        facts = (table.schema.metadata or {}).get(_ABOUT)
        if facts is None:
            raise CollectionUnknownError(f"table {table.name!r} holds no collection")
        return cls(**orjson.loads(facts))

    def write(self) -> bytes:
        """Write the facts for the metadata of a table."""
        return orjson.dumps(self.__dict__)


class LanceTables:
    """The tables of one database.

    Args:
        place: a folder, or an address of an object store.
    Raises:
        StoreError: the place cannot be opened.

    Attributes:
        own_folder: folder of this machine for what can be made again: snapshots and locks.
    """

    def __init__(self, place: str) -> None:
        self._is_local = "://" not in place
        with translate_errors():
            if self._is_local:
                Path(place).mkdir(parents=True, exist_ok=True)
            # At 0 every read sees what other processes have written; it costs 0.1 ms on a disk.
            self.database = lancedb.connect(place, read_consistency_interval=timedelta(0))
        digest = hashlib.sha256(place.encode()).hexdigest()[:16]
        remote = Path(tempfile.gettempdir()) / f"signclip-search-{digest}"
        self.own_folder = Path(place) / ".signclip" if self._is_local else remote
        self._guard = threading.Lock()
        self._open: dict[str, Any] = {}

    def list_names(self) -> list[str]:
        """List the names of the tables that may hold collections."""
        names: list[str] = []
        token = None
        with translate_errors():
            while True:
                page = self.database.list_tables(page_token=token)
                names += filter(is_collection_name, page.tables)
                token = page.page_token
                if not token:
                    return sorted(names)

    def create(self, name: str, about: About) -> None:
        """Create the table of a collection, unless it exists."""
        schema = make_schema(about.dimensions, {_ABOUT: about.write()})
        with translate_errors():
            try:
                self.database.create_table(name, schema=schema)
            except ValueError as error:
                if "already exists" not in str(error):
                    raise

    def drop(self, name: str) -> None:
        """Delete the table of a collection."""
        with translate_errors(name):
            self.database.drop_table(name)
        with self._guard:
            self._open.pop(name, None)

    def open(self, name: str) -> Any:
        """Open the table of a collection at its last version, whatever that is at each use.

        Raises:
            CollectionNameError: the name is no name of a collection.
            CollectionUnknownError: there is no such collection, or the table is somebody else's.
            StoreError: it cannot be opened.
        """
        check_collection_name(name)
        with self._guard:
            table = self._open.get(name)
        if table is None:
            table = self._open_again(name)
            with translate_errors(name):
                About.read(table)
            with self._guard:
                self._open[name] = table
        return table

    def check_out(self, name: str, version: int) -> Any:
        """Open one version of a collection, which no later write changes.

        Raises:
            VersionUnknownError: the collection has no such version, or no longer.
        """
        self.open(name)
        table = self._open_again(name)
        try:
            table.checkout(version)
        except (ValueError, RuntimeError, OSError, TypeError) as error:
            raise VersionUnknownError(f"collection {name!r} has no version {version}, or no longer") from error
        return table

    def check_out_last(self, name: str, version: int, *, key: str) -> Any:
        """Open a version that was a collection's last one a moment ago.

        Args:
            key: of the collection.
        Raises:
            CollectionUnknownError: the collection was deleted since, or another one took its name.
        """
        try:
            table = self.check_out(name, version)
        except VersionUnknownError as error:
            raise CollectionUnknownError.from_replaced(name) from error
        if About.read(table).key != key:
            raise CollectionUnknownError.from_replaced(name)
        return table

    def translate_errors_of_reading(self, name: str) -> AbstractContextManager[None]:
        """Raise our errors in place of LanceDB's, where a collection may be deleted while it is read.

        A thread that holds the collection's lock must not use it, because it waits for a deletion to end.
        """
        return translate_errors(name, is_gone=lambda: self._is_gone(name))

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Keep other writers of this machine out. LanceDB alone lets them in, and repeats the work of all but one."""
        if not self._is_local:
            return nullcontext()
        folder = self.own_folder / "locks"
        with translate_errors():
            folder.mkdir(parents=True, exist_ok=True)
        return hold_lock(folder / name)

    def close(self) -> None:
        """Forget the open tables."""
        with self._guard:
            self._open.clear()

    def _open_again(self, name: str) -> Any:
        try:
            return self.database.open_table(name)
        except ValueError as error:
            raise CollectionUnknownError.from_name(name) from error
        except (OSError, RuntimeError) as error:
            if is_of_missing_table(error):  # it is being deleted
                raise CollectionUnknownError.from_name(name) from error
            raise make_store_error(f"collection {name!r} cannot be opened", error) from error

    def _is_gone(self, name: str) -> bool:
        with self.lock(name):  # a deletion that has begun removes one file after the other
            try:
                self._open_again(name)
            except CollectionUnknownError:
                return True
        return False


def read_batches(table: Any, columns: Sequence[str], filter: Filter, *, rows: int) -> Iterator[Any]:
    """Read columns of a table as Arrow record batches of so many rows, in no order."""
    query = table.search().select(list(columns))
    condition = write_sql(filter)
    if condition is not None:
        query = query.where(condition)
    for batch in query.to_batches(rows):
        if batch.num_rows:
            yield batch
