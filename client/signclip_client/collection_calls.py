"""What the methods about collections send, and how their answers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import numpy.typing as npt

from signclip_client.calls import fetch, name_model, name_path
from signclip_client.chunks import Clip, split
from signclip_client.configuration import Configuration
from signclip_client.decoding import build
from signclip_client.messages import Answer, Call, Request, write_json
from signclip_client.options import SearchOptions
from signclip_client.reading import join, read_number, read_one
from signclip_client.search_results import Collection, Entry, Hits, NewEntry, Stored, encode_content

COLLECTION = "/api/collections/{}"
PARQUET = "application/vnd.apache.parquet"
ENTRY = COLLECTION + "/entries/{}"


def create_collection(configuration: Configuration, name: str, options: Mapping[str, Any]) -> Call[Collection]:
    """Create a collection, or change its description: PUT /api/collections/{name}."""
    # A space that is named belongs to no model.
    body = {**({} if "space" in options else name_model(configuration)), **options}
    return Call([Request("PUT", name_path(COLLECTION, name), body)], partial(read_one, Collection))


def delete_collection(name: str) -> Call[int]:
    """Delete a collection: DELETE /api/collections/{name}."""
    request = Request("DELETE", name_path(COLLECTION, name), if_gone={"deleted": 0})
    return Call([request], partial(read_number, "deleted"))


def store_entries(
    configuration: Configuration, name: str, entries: Sequence[NewEntry], options: Mapping[str, Any]
) -> Call[Stored]:
    """Store entries: POST /api/collections/{name}/entries.

    Raises:
        FileError: the size of a clip's file cannot be found.
        TypeError: one of them is no NewEntry.
        ValueError: there are no entries.
    """
    listed = list(entries)
    if not listed:
        raise ValueError("there is no entry to store")
    path = name_path(COLLECTION + "/entries", name)
    # Entries without an id get one from their content, so that storing them twice does no harm.
    parts = split("entries", listed, configuration.limits)
    return Call([Request("POST", path, dict(options), part) for part in parts], _read_stored)


def change_entry(name: str, entry_id: str, changes: Mapping[str, Any]) -> Call[Entry]:
    """Change facts of an entry: PATCH /api/collections/{name}/entries/{entry_id}."""
    return Call([Request("PATCH", name_path(ENTRY, name, entry_id), dict(changes))], partial(read_one, Entry))


def delete_entry(name: str, entry_id: str) -> Call[int]:
    """Delete an entry: DELETE /api/collections/{name}/entries/{entry_id}."""
    request = Request("DELETE", name_path(ENTRY, name, entry_id), if_gone={"deleted": 1})
    return Call([request], partial(read_number, "deleted"))


def import_entries(name: str, parquet: Clip) -> Call[Stored]:
    """Import entries from Parquet: POST /api/collections/{name}/entries:import."""
    path = name_path(COLLECTION + "/entries:import", name)
    return Call([Request("POST", path, file=parquet, media_type=PARQUET)], partial(read_one, Stored))


def export_entries(name: str, options: Mapping[str, Any]) -> Call[bytes]:
    """Export entries as Parquet: GET /api/collections/{name}/entries:export."""
    query = urlencode({key: value if isinstance(value, str) else write_json(value) for key, value in options.items()})
    return fetch(name_path(COLLECTION + "/entries:export", name) + (f"?{query}" if query else ""))


def search(
    path: str,
    *,
    pose: Clip | None,
    video: Clip | None,
    text: str | None,
    vector: npt.ArrayLike | None,
    options: Mapping[str, Any],
) -> Call[Hits]:
    """Search by one pose, video, text or vector: POST /api/search or /api/collections/{name}/search.

    Args:
        vector: float32 (dimensions,).
    Raises:
        FileError: the clip's file cannot be read.
    """
    body = {**options, **encode_content(pose, video, vector), **({} if text is None else {"text": text})}
    return Call([Request("POST", path, body)], partial(read_one, Hits))


def name_searched_model(configuration: Configuration, options: SearchOptions) -> SearchOptions:
    """Name the client's model in the options of a search, unless the collections that are named have their own."""
    if "collections" in options or configuration.model is None:
        return options
    return {"model_name": configuration.model, **options}


def _read_stored(answers: Sequence[Answer]) -> Stored:
    parts = [answer.read_json() for answer in answers]
    stored = sum(part.pop("stored") for part in parts)
    return build(Stored, {**join(parts, ("ids", "errors", "warnings")), "stored": stored})
