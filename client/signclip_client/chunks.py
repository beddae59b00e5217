"""Long lists in parts that one request holds, by items and bytes; and items as JSON has them."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from signclip_client.configuration import MAX_ITEMS, Limits
from signclip_client.errors import FileError

# A file by its path, or its bytes.
Clip = str | os.PathLike[str] | bytes


class Encodable(Protocol):
    """An item that is more than a text or a clip."""

    def encode(self) -> dict[str, Any]:
        """Write it as JSON has it."""

    def measure(self) -> int:
        """Count its bytes, before base64."""


Item = Clip | Encodable
TEXT = "text"


@dataclass(frozen=True)
class Chunk:
    """A part of a caller's list.

    Attributes:
        key: the key of the items in the body of a request, such as "text", "pose" or "video".
        items: texts as they are; clips as paths or bytes, which are read when they are sent; or what encodes itself.
        first: place of the first item in the caller's list.
    """

    key: str
    items: Sequence[Item]
    first: int = 0

    def encode(self) -> list[Any]:
        """Write the items as JSON has them: clips as base64.

        Raises:
            FileError: a clip's file cannot be read.
        """
        if self.key == TEXT:
            return list(self.items)
        return [encode_item(item) for item in self.items]

    def halve(self) -> tuple[Chunk, Chunk] | None:
        """Split the chunk in two; None when it has one item."""
        middle = len(self.items) // 2
        if middle == 0:
            return None
        return (
            Chunk(self.key, self.items[:middle], self.first),
            Chunk(self.key, self.items[middle:], self.first + middle),
        )

    def locate(self, message: str) -> str:
        """Let the JSON pointer that begins a message count in the caller's list rather than in this part."""
        return re.sub(
            rf"^/{self.key}/(\d+)\b", lambda found: f"/{self.key}/{int(found[1]) + self.first}", message, count=1
        )


def list_items(key: str, items: Clip | Sequence[Clip]) -> list[Clip]:
    """Take one item or several as several: a text is no list of its letters, and bytes are no list of numbers.

    Raises:
        TypeError: an item is no text, or no clip, as the key wants it.
    """
    if hasattr(items, "read"):
        raise TypeError(f"{key} is an open file; give its path, or what it reads")
    if isinstance(items, bytearray | memoryview):
        raise TypeError(f"{key} is a {type(items).__name__}; give bytes")
    listed: list[Clip] = [items] if isinstance(items, str | bytes | os.PathLike) else list(items)
    # A missing value of a table would be embedded as the word "nan".
    kinds, wanted = (str, "a str") if key == TEXT else (str | bytes | os.PathLike, "a path or bytes")
    for index, item in enumerate(listed):
        if not isinstance(item, kinds):
            raise TypeError(f"/{key}/{index} is of type {type(item).__name__}, but must be {wanted}")
    return listed


def split(key: str, items: Sequence[Item], limits: Limits, *, first: int = 0) -> Iterator[Chunk]:
    """Split a list into chunks of at most limits.max_items items and limits.max_bytes bytes.

    Raises:
        FileError: the size of a clip's file cannot be found.
        TypeError: an item cannot be written as JSON.
    """
    most = limits.max_items or MAX_ITEMS.get(key, 1)
    start = size = 0
    for index, item in enumerate(items):
        added = _measure(key, item)
        if index > start and (index - start == most or size + added > limits.max_bytes):
            yield Chunk(key, items[start:index], first + start)
            start, size = index, 0
        size += added
    if start < len(items):
        yield Chunk(key, items[start:], first + start)


def encode_item(item: Item) -> Any:
    """Write an item as JSON has it.

    Raises:
        FileError: a clip's file cannot be read.
    """
    return encode_clip(item) if isinstance(item, str | bytes | os.PathLike) else item.encode()


def encode_clip(clip: Clip) -> str:
    """Write a clip's bytes as base64.

    Raises:
        FileError: the clip's file cannot be read.
    """
    return base64.b64encode(read_file(clip)).decode("ascii")


def read_file(file: Clip) -> bytes:
    """Read a file, unless its bytes are given.

    Raises:
        FileError: the file cannot be read.
    """
    if isinstance(file, bytes):
        return file
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise FileError(f"{os.fspath(file)} cannot be read: {error.strerror}") from error


def _measure(key: str, item: Item) -> int:
    if not isinstance(item, str | bytes | os.PathLike):
        if not hasattr(item, "measure"):
            raise TypeError(f"one of {key} is of type {type(item).__name__}, which is nothing to send; see its class")
        return item.measure()
    return len(str(item).encode("utf-8", "surrogatepass")) if key == TEXT else measure_clip(item)


def measure_clip(clip: Clip) -> int:
    """Count the bytes of a clip, before base64.

    Raises:
        FileError: the size of the clip's file cannot be found.
    """
    if isinstance(clip, bytes):
        return len(clip)
    try:
        return Path(clip).stat().st_size
    except OSError as error:
        raise FileError(f"{os.fspath(clip)} cannot be read: {error.strerror}") from error
