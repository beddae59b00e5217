"""The methods about collections, for AsyncClient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Unpack

import numpy.typing as npt

from signclip_client import calls, collection_calls
from signclip_client.chunks import Clip
from signclip_client.configuration import Configuration
from signclip_client.exchange import OnProgress
from signclip_client.messages import Call
from signclip_client.options import (
    CollectionOptions,
    CollectionSearchOptions,
    EntryChanges,
    EntryOptions,
    ExportOptions,
    SearchOptions,
)
from signclip_client.results import Result
from signclip_client.search_results import Collection, Entry, Hits, NewEntry, Stored


class AsyncCollectionMethods(ABC):
    """Methods about collections, their entries, and searches of them, to be awaited."""

    configuration: Configuration

    @abstractmethod
    async def _run(self, call: Call[Result], progress: OnProgress | None = None) -> Result: ...

    async def create_collection(self, name: str, **options: Unpack[CollectionOptions]) -> Collection:
        """Create a collection, or change the description of one that exists."""
        return await self._run(collection_calls.create_collection(self.configuration, name, options))

    async def list_collections(self) -> tuple[Collection, ...]:
        """List the collections by name."""
        return await self._run(calls.list_all("/api/collections", "collections", Collection))

    async def describe_collection(self, name: str) -> Collection:
        """Describe a collection."""
        return await self._run(calls.get(calls.name_path(collection_calls.COLLECTION, name), Collection))

    async def delete_collection(self, name: str) -> int:
        """Delete a collection with all its entries, and return how many there were; 0 if the answer was lost."""
        return await self._run(collection_calls.delete_collection(name))

    async def store_entries(
        self,
        name: str,
        entries: Sequence[NewEntry],
        *,
        progress: OnProgress | None = None,
        **options: Unpack[EntryOptions],
    ) -> Stored:
        """Store entries in a collection; one whose id exists is replaced."""
        return await self._run(collection_calls.store_entries(self.configuration, name, entries, options), progress)

    async def show_entry(self, name: str, entry_id: str) -> Entry:
        """Show an entry of a collection; its vector is float32 (dimensions,)."""
        return await self._run(calls.get(calls.name_path(collection_calls.ENTRY, name, entry_id), Entry))

    async def change_entry(self, name: str, entry_id: str, **changes: Unpack[EntryChanges]) -> Entry:
        """Change what is known about an entry; what is not given stays as it is."""
        return await self._run(collection_calls.change_entry(name, entry_id, changes))

    async def delete_entry(self, name: str, entry_id: str) -> int:
        """Delete an entry, and return 1."""
        return await self._run(collection_calls.delete_entry(name, entry_id))

    async def fetch_preview(
        self, name: str, entry_id: str, kind: Literal["svg", "webp", "gif", "pose"] = "svg"
    ) -> bytes:
        """Fetch a picture of an entry's skeleton, or its .pose file."""
        path = calls.name_path(collection_calls.ENTRY + "/preview.{}", name, entry_id, kind)
        return await self._run(calls.fetch(path))

    async def import_entries(self, name: str, parquet: Clip) -> Stored:
        """Store the entries of a Parquet file, given by its path or as bytes, in a collection."""
        return await self._run(collection_calls.import_entries(name, parquet))

    async def export_entries(self, name: str, **options: Unpack[ExportOptions]) -> bytes:
        """Export entries of a collection as a Parquet file."""
        return await self._run(collection_calls.export_entries(name, options))

    async def search_collection(
        self,
        name: str,
        *,
        pose: Clip | None = None,
        video: Clip | None = None,
        text: str | None = None,
        vector: npt.ArrayLike | None = None,
        **options: Unpack[CollectionSearchOptions],
    ) -> Hits:
        """Search a collection by one pose, video, text or vector, float32 (dimensions,)."""
        path = calls.name_path(collection_calls.COLLECTION + "/search", name)
        call = collection_calls.search(path, pose=pose, video=video, text=text, vector=vector, options=options)
        return await self._run(call)

    async def search_collections(
        self,
        *,
        pose: Clip | None = None,
        video: Clip | None = None,
        text: str | None = None,
        vector: npt.ArrayLike | None = None,
        **options: Unpack[SearchOptions],
    ) -> Hits:
        """Search several collections by one pose, video, text or vector, float32 (dimensions,)."""
        options = collection_calls.name_searched_model(self.configuration, options)
        call = collection_calls.search("/api/search", pose=pose, video=video, text=text, vector=vector, options=options)
        return await self._run(call)
