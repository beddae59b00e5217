"""What is stored in collections, and what searches find."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from signclip_client.chunks import Clip, encode_clip, measure_clip
from signclip_client.results import Floats, SkippedItem


@dataclass(frozen=True)
class Collection:
    """A collection of the service.

    Attributes:
        space: what its vectors may be compared with.
        created: time of its creation, ISO 8601.
        entries: how many there are.
        version: number that grows with every change.
    """

    name: str
    space: str
    dimensions: int
    description: str
    created: str
    entries: int
    version: int


@dataclass(frozen=True, eq=False)
class NewEntry:
    """An entry to store: one of pose, video, text and vector, and what is known about it.

    Attributes:
        vector: float32 (dimensions,), of the collection's space.
        id: unique in the collection; None: made from the content.
        gloss: the label by which results are grouped and classified.
        texts: words or sentences with the same meaning.
        tags: any facts, by name: texts, numbers or booleans.
        kind: what a vector was made of: "pose" or "text".
        space: of a vector.
        signature: of a vector: how it was made.
    """

    pose: Clip | None = None
    video: Clip | None = None
    text: str | None = None
    vector: npt.ArrayLike | None = None
    id: str | None = None
    gloss: str = ""
    texts: tuple[str, ...] = ()
    sign_language: str | None = None
    spoken_language: str | None = None
    source: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    space: str | None = None
    signature: str | None = None

    def encode(self) -> dict[str, Any]:
        """Write the entry as JSON has it; what is not known is left out.

        Raises:
            FileError: the clip's file cannot be read.
        """
        values = {place.name: getattr(self, place.name) for place in fields(self)}
        values |= {
            "texts": list(self.texts),
            "tags": dict(self.tags),
            **encode_content(self.pose, self.video, self.vector),
        }
        return {key: value for key, value in values.items() if value is not None}

    def measure(self) -> int:
        """Count the bytes of the entry's clip.

        Raises:
            FileError: the size of the clip's file cannot be found.
        """
        return sum(measure_clip(clip) for clip in (self.pose, self.video) if clip is not None)


@dataclass(frozen=True)
class Stored:
    """What was stored.

    Attributes:
        ids: of the entries, in the order of the list; empty after an import.
        space: what the vectors may be compared with.
        errors: entries that were skipped.
    """

    stored: int
    space: str
    ids: tuple[str, ...] = ()
    errors: tuple[SkippedItem, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry of a collection.

    Attributes:
        kind: "pose" or "text": what the vector was made of.
        created: time of the last change, ISO 8601.
        quality: the report on the clip.
        preview: path of a picture of the clip; None: its pose is not kept.
        vector: float32 (dimensions,), of length 1.
    """

    id: str
    kind: str
    gloss: str
    texts: tuple[str, ...]
    sign_language: str | None
    spoken_language: str | None
    source: str | None
    tags: Mapping[str, Any]
    space: str
    signature: str | None
    created: str
    quality: Mapping[str, Any] | None
    preview: str | None
    vector: Floats


@dataclass(frozen=True)
class Hit:
    """An entry that a search found.

    Attributes:
        rank: from 1.
        score: cosine of query and entry.
        preview: path of a picture of the clip; None: its pose is not kept.
        collection: name of the entry's collection.
    """

    id: str
    rank: int
    score: float
    gloss: str
    kind: str
    sign_language: str | None
    tags: Mapping[str, Any]
    preview: str | None
    collection: str


@dataclass(frozen=True)
class Hits:
    """Entries, best first.

    Attributes:
        space: what the query's vector may be compared with.
        signature: how it was made; None: not known.
    """

    hits: tuple[Hit, ...]
    space: str
    signature: str | None
    warnings: tuple[str, ...] = ()


def encode_content(pose: Clip | None, video: Clip | None, vector: npt.ArrayLike | None) -> dict[str, str]:
    """Write what an entry or a query is made of as base64; what is not there is left out.

    Args:
        vector: float32 (dimensions,).
    Raises:
        FileError: a clip's file cannot be read.
    """
    written = {key: encode_clip(clip) for key, clip in (("pose", pose), ("video", video)) if clip is not None}
    if vector is not None:
        written["vector"] = base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode("ascii")
    return written
