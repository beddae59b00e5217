"""What is embedded: one item a row, a clip or a text, with all that is known about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# Ids stand in paths of addresses and in names of files. Collections allow as many characters (search/entries.py).
_MAX_ID_CHARS = 200
_NOT_IN_IDS = re.compile(r"[\x00-\x1f\x7f/\\]+")
_DIGEST_CHARS = 16


@dataclass(frozen=True, slots=True)
class Item:
    """One row of a source.

    Attributes:
        id: unique in its source; see make_id.
        kind: "pose" for a clip, whether a pose or a video shows it, or "text".
        source: path or address of the clip's file; "" for a text.
        text: what is embedded, or what the clip means.
        label: equal for clips of one sign; "" where the source names none.
        sign_language: tag, name or alias, as written in the source.
        spoken_language: tag of the text's own language.
        start_s: where the clip starts in its file, in seconds; None: at the file's start.
        end_s: where the clip ends in its file; None: at the file's end.
        facts: the other columns of the source, by name.
        fault: why the row makes no sense; "" where it does.
    """

    id: str
    kind: str
    source: str = ""
    text: str = ""
    label: str = ""
    sign_language: str | None = None
    spoken_language: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item has no vector.

    Attributes:
        code: the stable name of the reason.
        detail: a sentence for the user.
    """

    code: str
    detail: str


def make_id(name: str) -> str:
    """Make an id of a name or a path: slashes become hyphens, and the end of what is too long becomes a digest."""
    name = _replace_surrogates(name)
    made = _NOT_IN_IDS.sub("-", name).strip("-") or "-"
    made = f"_{made}" if made in (".", "..") else made
    if len(made) <= _MAX_ID_CHARS:
        return made
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{made[: _MAX_ID_CHARS - _DIGEST_CHARS - 1]}-{digest}"


def shorten_id(item_id: str, *, max_bytes: int) -> str:
    """Shorten an id until it fits into a file's name: the end of what is too long becomes a digest."""
    written = item_id.encode()
    if len(written) <= max_bytes:
        return item_id
    digest = hashlib.sha256(written).hexdigest()[:_DIGEST_CHARS]
    return f"{written[: max_bytes - _DIGEST_CHARS - 1].decode(errors='ignore')}-{digest}"


def make_writable(item: Item) -> Item:
    """Return an item whose texts are valid UTF-8: names of files and JSON may hold halves of characters."""
    words = (item.source, item.text, item.label, item.sign_language or "", item.spoken_language or "", item.fault)
    try:
        "".join((*words, *item.facts, *item.facts.values())).encode()
    except UnicodeEncodeError:
        return replace(
            item,
            source=_replace_surrogates(item.source),
            text=_replace_surrogates(item.text),
            label=_replace_surrogates(item.label),
            sign_language=item.sign_language and _replace_surrogates(item.sign_language),
            spoken_language=item.spoken_language and _replace_surrogates(item.spoken_language),
            facts={_replace_surrogates(name): _replace_surrogates(value) for name, value in item.facts.items()},
            fault=_replace_surrogates(item.fault),
        )
    return item


def _replace_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
