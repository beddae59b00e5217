"""Reads multipart/form-data: file parts with one name, and options in fields."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData, Preamble

from app.errors import BodyError, InputError, Problem, TooLargeError, write_pointer

FIELDS_BYTES = 256 * 1024
# Parts of a form beside its files. No route has so many options.
_OPTIONS = 32
# As much as werkzeug's own parser takes at once: a part that begins in one piece may end in another.
_PIECE_BYTES = 64 * 1024
# Headers of a part, and parts, past which the decoder reads a form.
_HEAD_BYTES = 4096
_MOST_PARTS = 4096
_NAME_CHARS = 64
Part = tuple[Field | File, bytes | memoryview]
"""The head of a part of a form, and its content."""
_EXAMPLES = {"pose": "clip.pose", "video": "clip.mp4"}


class FileParts(Sequence[bytes]):
    """Contents of file parts, each copied out of the body when somebody asks for it.

    A copy of one clip at a time lies in memory that is in use already. Copies of all take new memory, page by page.
    """

    def __init__(self) -> None:
        self._contents: list[bytes | memoryview] = []

    def add(self, content: bytes | memoryview) -> None:
        """Add the content of one more part, which must not change."""
        self._contents.append(content)

    def __len__(self) -> int:
        return len(self._contents)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return list(map(bytes, self._contents[index]))
        return bytes(self._contents[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileParts) and self._contents == other._contents

    __hash__ = None  # type: ignore[assignment]  # parts are added


@dataclass
class Form:
    """A form: the contents of its file parts, and its fields as they were sent.

    Attributes:
        files: contents of the file parts, which keep the whole body in memory.
        kinds: the name of each file part, one of the keys that the route takes.
        names: the file name of each file part; "" where the client sent none.
    """

    files: FileParts = field(default_factory=FileParts)
    kinds: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    fields: MultiDict[str, str] = field(default_factory=MultiDict)


def parse_form(data: bytes, boundary: str, keys: tuple[str, ...], *, max_items: int) -> Form:
    """Parse a form that is in memory.

    A part with the name of a key is a file, with a file name or without: some clients send none.

    Args:
        boundary: as Content-Type names it.
        keys: names that file parts may have.
        max_items: file parts.
    Raises:
        BodyError: the bytes are no form with this boundary.
        TooLargeError: there are too many parts, or too many bytes in fields.
        InputError: a file part has another name, there is none, or a field is not UTF-8.
    """
    if not boundary:
        raise BodyError("Content-Type names no boundary; let the client's library write this header")
    form = Form()
    mark = boundary.encode("utf-8", "replace")
    decoder = MultipartDecoder(mark, max_parts=max_items + _OPTIONS)
    split = split_plain_form(data, mark)
    parts = _list_parts(decoder, data) if split is None else _list_split_parts(decoder, split)
    try:
        for part, content in _limit_fields(parts, keys):
            _add_part(form, part, content, keys)
    except RequestEntityTooLarge as error:
        raise TooLargeError(
            f"a form may have {max_items} files, {_OPTIONS} fields and {FIELDS_BYTES} bytes of fields"
        ) from error
    except ValueError as error:
        raise BodyError("the body is not multipart/form-data with the boundary that Content-Type names") from error
    if not form.files:
        example = f"curl -F {keys[0]}=@{_EXAMPLES[keys[0]]}"
        raise refuse_key(keys[0], f"is missing; send one or more file parts with this name, as in {example}")
    return form


@dataclass(frozen=True)
class SplitForm:
    """A form, taken apart.

    Attributes:
        skeleton: the same form, in which every part is empty.
        contents: of each part, in the memory of the form.
    """

    skeleton: bytes
    contents: list[memoryview]


def split_plain_form(data: bytes, boundary: bytes) -> SplitForm | None:
    """Take a form apart that has no oddities: CRLF as line breaks, and nothing before, between and after its parts.

    Returns:
        None for any other form, and for what is no form; the decoder reads those.
    """
    dashes, mark = b"--" + boundary, b"\r\n--" + boundary
    if not data.startswith(dashes + b"\r\n"):
        return None
    pieces: list[bytes] = []
    contents: list[memoryview] = []
    view = memoryview(data)
    start = len(dashes) + 2
    while True:
        # Whatever looks like the boundary must be one, as the decoder would see it.
        end = data.find(dashes, start) - 2
        head_end = data.find(b"\r\n\r\n", start, max(start, end + 2))
        if end < start or head_end < 0 or data[end : end + 2] != b"\r\n":
            return None
        head = data[start:head_end]
        if b"\n\n" in head or b"\r\r" in head or len(head) > _HEAD_BYTES:
            return None
        pieces += [dashes, b"\r\n", head, b"\r\n\r\n\r\n"]
        contents.append(view[min(head_end + 4, end) : end])
        start = end + len(mark) + 2
        after = data[start - 2 : start]
        if after == b"--":
            if data[start:] not in (b"", b"\r\n"):
                return None
            return SplitForm(b"".join([*pieces, dashes, b"--\r\n"]), contents)
        if after != b"\r\n" or len(contents) > _MOST_PARTS:
            return None


def refuse_key(key: str, message: str) -> InputError:
    """Make the error for a key, a part or a parameter that is wrong."""
    shown = key[:_NAME_CHARS]
    return InputError(f"{shown} {message}", problems=(Problem(write_pointer([shown]), message),))


def _limit_fields(parts: Iterator[Part], keys: tuple[str, ...]) -> Iterator[Part]:
    """Pass parts on; fields that are no file are limited together."""
    field_bytes = 0
    for part, content in parts:
        field_bytes += len(content) if isinstance(part, Field) and part.name not in keys else 0
        if field_bytes > FIELDS_BYTES:
            raise RequestEntityTooLarge
        yield part, content


def _list_split_parts(decoder: MultipartDecoder, split: SplitForm) -> Iterator[Part]:
    """List the parts of a form that was taken apart: the decoder reads headers alone, because it copies contents."""
    for (part, _), content in zip(_list_parts(decoder, split.skeleton), split.contents, strict=True):
        yield part, content


def _list_parts(decoder: MultipartDecoder, data: bytes) -> Iterator[Part]:
    """List the parts of a form with their contents."""
    part: Field | File | None = None
    pieces: list[bytes] = []
    for event in _list_events(decoder, data):
        if isinstance(event, Field | File):
            part, pieces = event, []
        elif isinstance(event, Data) and part is not None:
            pieces.append(event.data)
            if not event.more_data:
                yield part, b"".join(pieces)


def _list_events(decoder: MultipartDecoder, data: bytes) -> Iterator[Event]:
    for start in range(0, len(data) + _PIECE_BYTES, _PIECE_BYTES):
        # None says that nothing follows.
        decoder.receive_data(data[start : start + _PIECE_BYTES] if start < len(data) else None)
        event = decoder.next_event()
        while not isinstance(event, Epilogue | NeedData):
            if not isinstance(event, Preamble):
                yield event
            event = decoder.next_event()


def _add_part(form: Form, part: Field | File, content: bytes | memoryview, keys: tuple[str, ...]) -> None:
    name = part.name or ""
    if name in keys:
        form.files.add(content)
        form.kinds.append(name)
        form.names.append(part.filename or "" if isinstance(part, File) else "")
    elif isinstance(part, File):
        known = " or ".join(map(repr, keys))
        raise refuse_key(name or "a part", f"is not the name of a file part here; name the file parts {known}")
    else:
        form.fields.add(name, _decode_field(name, bytes(content)))


def _decode_field(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as fault:
        byte = f"byte {fault.start} of its value (0x{content[fault.start]:02X}) is not UTF-8"
        raise refuse_key(name, f"cannot be read: {byte}; fields of a form are sent as UTF-8") from fault
