"""What a collection holds: entries, each a vector with what is known about it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from search.errors import CollectionNameError, EntryInvalidError

Vector = npt.NDArray[np.float32]  # (dim,)
Kind = Literal["pose", "text"]
Tag = str | int | float | bool
KINDS: tuple[Kind, ...] = get_args(Kind)

# Names become names of folders and of tables, and some file systems ignore case.
_COLLECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
# Ids stand in paths of URLs; a slash or a lone dot would not arrive there.
_ENTRY_ID = re.compile(r"[^\x00-\x1f\x7f/\\]{1,200}")
# Room for a dictionary's glosses, glossaries and notes; an entry without its pose then stays below 100 kB.
_MAX_CHARS = 1000
_MAX_TEXTS = 32
_WORDS = ("gloss", "sign_language", "spoken_language", "source", "signature")
_MAX_TAGS = 32
_MAX_TAG_CHARS = 64
# A compressed pose of one minute at 25 frames per second with all of Holistic's points has about 5 MB.
MAX_POSE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """One entry of a collection.

    Attributes:
        id: unique in its collection.
        vector: float32 (dim,); the store keeps it at length 1.
        kind: the tower that made the vector.
        space: what the vector may be compared with.
        signature: how the vector was made; None: not known.
        gloss: the label that classification and grouping use; "": none.
        texts: words or sentences with the same meaning.
        sign_language: tag of the sign language; None: not known.
        spoken_language: tag of the language of gloss and texts; None: not known.
        source: where the clip comes from; None: not known.
        tags: any facts of the user, by name.
        pose: the clip's .pose file, packed with zstd; None: not kept.
        quality: the report on the clip; None: there is none.
        created: time of the last change, UTC; None: the store writes the time of the upsert.
    """

    id: str
    vector: Vector
    kind: Kind
    space: str
    signature: str | None = None
    gloss: str = ""
    texts: tuple[str, ...] = ()
    sign_language: str | None = None
    spoken_language: str | None = None
    source: str | None = None
    tags: Mapping[str, Tag] = field(default_factory=dict)
    pose: bytes | None = None
    quality: Mapping[str, Any] | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class Collection:
    """A collection as it is now.

    Attributes:
        space: of all its vectors.
        dimensions: numbers in a vector.
        description: words of its owner.
        created: time of its creation, UTC.
        entries: how many there are.
        version: number that grows with every change.
    """

    name: str
    space: str
    dimensions: int
    description: str
    created: datetime
    entries: int
    version: int


def is_collection_name(name: str) -> bool:
    """Whether a collection may have this name."""
    return _COLLECTION_NAME.fullmatch(name) is not None


def check_collection_name(name: str) -> None:
    """Refuse a name that is no name of a collection.

    Raises:
        CollectionNameError: the name is too long or has other characters than a-z, 0-9, _ and -.
    """
    if not is_collection_name(name):
        raise CollectionNameError(
            f"{name[:64]!r} is no name of a collection; a name has 1 to 48 of a-z, 0-9, _ and -, and begins with a "
            "letter or a digit"
        )


def check_entry_id(entry_id: str) -> None:
    """Refuse what cannot be the id of an entry.

    Raises:
        EntryInvalidError: the id is empty, too long, "." or "..", or has a slash or a control character.
    """
    if not _ENTRY_ID.fullmatch(entry_id) or entry_id in (".", ".."):
        raise EntryInvalidError(
            f"{entry_id[:64]!r} is no id of an entry; an id has 1 to 200 characters, no slash and no control character"
        )


def check_entry(entry: Entry, *, space: str, dimensions: int) -> None:
    """Refuse an entry that cannot be stored in a collection of this space.

    Args:
        dimensions: of the collection's vectors.
    Raises:
        EntryInvalidError: a field is too long or of the wrong kind, or the vector has the wrong length, is 0 or is not
            finite.
    """
    check_entry_id(entry.id)
    if entry.kind not in KINDS:
        raise EntryInvalidError(f"entry {entry.id!r}: kind is {entry.kind!r}; it must be one of {', '.join(KINDS)}")
    if entry.vector.shape != (dimensions,):
        raise EntryInvalidError(
            f"entry {entry.id!r}: the vector has shape {entry.vector.shape}; this collection holds ({dimensions},)"
        )
    if not has_direction(entry.vector):
        raise EntryInvalidError(
            f"entry {entry.id!r}: the vector is 0, or holds numbers that are not finite or too large"
        )
    if entry.space != space:
        raise EntryInvalidError(f"entry {entry.id!r}: its space is {entry.space!r}, the collection's is {space!r}")
    _check_words(entry)
    _check_tags(entry)
    if entry.pose is not None and len(entry.pose) > MAX_POSE_BYTES:
        raise EntryInvalidError(
            f"entry {entry.id!r}: its packed pose has {len(entry.pose)} bytes; at most {MAX_POSE_BYTES} are kept"
        )


def has_direction(vector: Vector) -> bool:
    """Whether a vector (dim,) can be compared with others: it is not 0, and all its numbers are finite."""
    # One product in place of three passes: it is 0, infinite or no number where the vector has no direction.
    with np.errstate(over="ignore", invalid="ignore"):
        return 0 < float(vector @ vector) < math.inf


def _check_words(entry: Entry) -> None:
    if len(entry.texts) > _MAX_TEXTS:
        raise EntryInvalidError(f"entry {entry.id!r}: {len(entry.texts)} texts; an entry may have {_MAX_TEXTS}")
    for name in _WORDS:
        _check_word(entry, name, getattr(entry, name))
    for index, text in enumerate(entry.texts):
        _check_word(entry, f"texts/{index}", text)


def _check_word(entry: Entry, name: str, word: str | None) -> None:
    if word is not None and len(word) > _MAX_CHARS:
        raise EntryInvalidError(f"entry {entry.id!r}: {name} has {len(word)} characters; it may have {_MAX_CHARS}")


def _check_tags(entry: Entry) -> None:
    if len(entry.tags) > _MAX_TAGS:
        raise EntryInvalidError(f"entry {entry.id!r}: {len(entry.tags)} tags; an entry may have {_MAX_TAGS}")
    for name, value in entry.tags.items():
        if not 0 < len(name) <= _MAX_TAG_CHARS or "=" in name:
            raise EntryInvalidError(
                f"entry {entry.id!r}: a tag's name has 1 to {_MAX_TAG_CHARS} characters and no equals sign"
            )
        is_finite = not isinstance(value, float) or math.isfinite(value)
        if not isinstance(value, Tag) or not is_finite or len(str(value)) > _MAX_CHARS:
            raise EntryInvalidError(
                f"entry {entry.id!r}: tag {name!r} must be a text of at most {_MAX_CHARS} characters, a finite number "
                "or a boolean"
            )
