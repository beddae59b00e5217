"""Writes collections, entries and hits as answers show them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from search.entries import Collection, Entry
from search.interface import Hit


def describe_collection(collection: Collection) -> dict[str, Any]:
    """Describe a collection."""
    return asdict(collection) | {"created": collection.created.isoformat()}


def describe_entry(name: str, entry: Entry) -> dict[str, Any]:
    """Describe an entry of the collection with this name. The pose itself is not shown."""
    return {
        "id": entry.id,
        "kind": entry.kind,
        "gloss": entry.gloss,
        "texts": list(entry.texts),
        "sign_language": entry.sign_language,
        "spoken_language": entry.spoken_language,
        "source": entry.source,
        "tags": dict(entry.tags),
        "space": entry.space,
        "signature": entry.signature,
        "created": None if entry.created is None else entry.created.isoformat(),
        "quality": None if entry.quality is None else dict(entry.quality),
        "preview": locate_preview(name, entry.id) if entry.pose is not None else None,
        "vector": entry.vector,
    }


def describe_hit(name: str, hit: Hit) -> dict[str, Any]:
    """Describe a hit in the collection with this name."""
    return {
        "id": hit.id,
        "rank": hit.rank,
        "score": hit.score,
        "gloss": hit.gloss,
        "kind": hit.kind,
        "sign_language": hit.sign_language,
        "tags": dict(hit.tags),
        "preview": locate_preview(name, hit.id) if hit.has_pose else None,
        "collection": name,
    }


def locate_preview(name: str, entry_id: str) -> str:
    """Write the path of the preview of an entry."""
    return f"/api/collections/{name}/entries/{quote(entry_id, safe='')}/preview.svg"


def drop_empty(remarks: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the remarks that say nothing."""
    return {key: value for key, value in remarks.items() if value}
