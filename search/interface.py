"""What a caller may ask of a store, whatever keeps it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from search.entries import Collection, Entry, Kind, Tag
from search.filters import EVERYTHING, Filter

Vectors = npt.NDArray[np.float32]  # (rows, dim)
Mode = Literal["auto", "exact", "approximate"]


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Attributes:
        k: most hits of one query.
        filter: entries that are searched.
        min_score: least cosine of a hit; None: any.
        group_by: "gloss": only the best entry of each gloss is a hit; None: every entry may be.
        mode: exact: every vector is compared; approximate: the index is used, where there is one; auto: exact for
            collections so small that it is as fast.
    """

    k: int = 10
    filter: Filter = EVERYTHING
    min_score: float | None = None
    group_by: Literal["gloss"] | None = None
    mode: Mode = "auto"


DEFAULT_SEARCH = SearchOptions()


@dataclass(frozen=True)
class Hit:
    """An entry that a search found.

    Attributes:
        rank: from 1. Of equal scores the lower id comes first.
        score: cosine of query and entry, computed in float64.
        has_pose: whether the entry keeps a pose, from which a preview can be drawn.
    """

    rank: int
    id: str
    score: float
    kind: Kind
    gloss: str
    sign_language: str | None
    signature: str | None
    tags: Mapping[str, Tag]
    has_pose: bool


@dataclass(frozen=True)
class Columns:
    """The entries of a collection by column, in the order of their ids, without their poses.

    Attributes:
        vectors: float32 (entries, dim), of length 1; read only.
    """

    ids: tuple[str, ...]
    vectors: Vectors
    kinds: tuple[Kind, ...]
    glosses: tuple[str, ...]
    sign_languages: tuple[str | None, ...]
    sources: tuple[str | None, ...]
    signatures: tuple[str | None, ...]
    tags: tuple[Mapping[str, Tag], ...] = field(repr=False)


class Store(Protocol):
    """Collections of entries. All methods may be called from several threads and processes at the same time.

    Every method with a collection's name raises CollectionNameError or CollectionUnknownError where there is none,
    and every method raises StoreError (StoreFullError without room) where the store cannot be read or written. What a
    method has stored when it returns is kept, whatever ends the process then.
    """

    def create_collection(self, name: str, *, space: str, dimensions: int, description: str = "") -> Collection:
        """Create a collection, or return the one that exists with the same space; its description is replaced.

        Raises:
            CollectionExistsError: it exists with another space or other dimensions.
        """
        ...

    def list_collections(self) -> list[Collection]:
        """List the collections by name."""
        ...

    def describe_collection(self, name: str) -> Collection:
        """Describe a collection."""
        ...

    def delete_collection(self, name: str) -> None:
        """Delete a collection with its entries, its versions and its attachments."""
        ...

    def upsert(self, name: str, entries: Sequence[Entry]) -> None:
        """Store entries, all of them or none. An entry whose id exists is replaced; of equal ids the last one stays.

        Raises:
            EntryInvalidError: an entry cannot be stored; see search.entries.check_entry.
        """
        ...

    def change_entry(self, name: str, entry_id: str, change: Callable[[Entry], Entry]) -> Entry:
        """Replace an entry by what a function makes of it; no other change comes in between.

        Where another machine changes the entry meanwhile, the function is called again, with that change.

        Raises:
            EntryUnknownError: there is no such entry.
            EntryInvalidError: the changed entry cannot be stored.
        """
        ...

    def delete_entries(self, name: str, ids: Sequence[str]) -> int:
        """Delete entries, and return how many of these ids there were."""
        ...

    def find_entries(self, name: str, ids: Sequence[str]) -> dict[str, Entry]:
        """Find entries by their ids, with their poses; ids that do not exist are left out."""
        ...

    def iterate(
        self, name: str, *, filter: Filter = EVERYTHING, version: int | None = None, with_pose: bool = True
    ) -> Iterator[list[Entry]]:
        """Iterate over entries in batches, in no order. What is written meanwhile does not show.

        Args:
            version: of the collection; None: the last one.
        Raises:
            VersionUnknownError: the collection has no such version, or no longer.
        """
        ...

    def read_columns(self, name: str, *, filter: Filter = EVERYTHING) -> Columns:
        """Read all entries by column, without poses; small collections come from memory that processes share."""
        ...

    def count(self, name: str, *, filter: Filter = EVERYTHING) -> int:
        """Count the entries that a filter keeps."""
        ...

    def search(self, name: str, queries: Vectors, options: SearchOptions = DEFAULT_SEARCH) -> list[list[Hit]]:
        """Find the entries with the highest cosine for each query.

        Args:
            queries: float32 (queries, dim), of any length but 0, of the collection's space.
        Returns:
            The hits of each query, best first.
        Raises:
            SpaceMismatchError: queries have other dimensions than the collection.
        """
        ...

    def list_versions(self, name: str) -> list[int]:
        """List the versions of a collection that can still be read or restored, oldest first."""
        ...

    def restore(self, name: str, version: int) -> None:
        """Make an earlier version of the entries the last one. The versions in between are kept.

        Raises:
            VersionUnknownError: the collection has no such version, or no longer.
        """
        ...

    def write_attachment(self, name: str, key: str, content: bytes) -> None:
        """Keep bytes beside a collection, such as a classifier of its entries; the key's earlier bytes are replaced."""
        ...

    def read_attachment(self, name: str, key: str) -> bytes | None:
        """Read bytes that are kept beside a collection; None: there are none with this key."""
        ...

    def maintain(self, name: str) -> None:
        """Compact a collection, and bring its index up to date. Nothing that is stored changes."""
        ...

    def close(self) -> None:
        """End what runs in the background. May be called twice."""
        ...
