"""Reads entries to store from JSON, from a form with files, or from lines of JSON, in batches."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import orjson
from flask import Request

from app.errors import InputError, Problem, TooLargeError
from app.intake.body import read_form, read_json, read_pieces
from app.intake.entry_schemas import CONTENT, EntriesRequest, EntryFacts, EntryItem, EntryOptions, FormRequest
from app.intake.json_text import parse_json
from app.intake.media_types import refuse_media_type
from app.intake.options import read_options, read_query
from app.intake.validation import check_count, validate
from app.intake.videos import limit_body
from app.settings import ServiceSettings

LINES = "application/x-ndjson"
# Entries in one JSON object or form, as texts in one request; lines may be more.
MAX_ENTRIES = 2048
# Of a body of lines or a Parquet file; 300,000 vectors of 768 numbers take that much.
MAX_IMPORT_BYTES = 1024 * 1024 * 1024
# Lines that are embedded and stored together: enough that a commit's milliseconds do not count beside them.
_LINES_AT_ONCE = 256
# Of the base64 of an entry in an id that is made from it; 128 bits do not collide.
_DIGEST_CHARS = 32


@dataclass(frozen=True)
class NewEntry:
    """An entry of a request that has no vector yet.

    Attributes:
        pointer: JSON pointer (RFC 6901) to it in the request.
        kind: one of pose, video, text and vector.
        content: base64 or bytes of a file, a text, or numbers.
        line: what was sent about a vector; None: the entry came as a file.
    """

    id: str
    facts: EntryFacts
    pointer: str
    kind: str
    content: Any
    line: EntryItem | None = None


@dataclass(frozen=True)
class NewEntries:
    """The entries of one request.

    Attributes:
        batches: what is stored together. Only lines make more than one batch.
        total: entries in all batches; None while lines arrive.
    """

    options: EntryOptions
    batches: Iterator[list[NewEntry]]
    total: int | None


def read_entries(request: Request, settings: ServiceSettings) -> NewEntries:
    """Read the entries of a request.

    Raises:
        MediaTypeError, BodyError: the body cannot be read.
        TooLargeError, TooManyItemsError: a limit is exceeded.
        InputError: a key, a part or a parameter is wrong, missing or unknown.
    """
    if request.mimetype in (LINES, "application/jsonl"):
        request.max_content_length = MAX_IMPORT_BYTES
        options = validate(EntryOptions, read_query(request), max_items=0, strict=False)
        return NewEntries(options, _batch_lines(request, settings), None)
    request.max_content_length = max_bytes = max(settings.max_body_bytes, limit_body(settings, in_json=request.is_json))
    if request.mimetype == "multipart/form-data":
        return _read_files(request, max_bytes=max_bytes)
    if request.mimetype and not request.is_json:
        raise refuse_media_type(request.mimetype, ["application/json", "multipart/form-data", LINES])
    wanted = validate(EntriesRequest, read_json(request, max_bytes=max_bytes), max_items=MAX_ENTRIES)
    entries = [_make_entry(item, f"/entries/{index}") for index, item in enumerate(wanted.entries)]
    # Without ids, twins are the same content, which is stored once.
    _refuse_twins([entry for entry, item in zip(entries, wanted.entries, strict=True) if item.id is not None])
    return NewEntries(wanted, iter([entries]), len(entries))


def _read_files(request: Request, *, max_bytes: int) -> NewEntries:
    form = read_form(request, ("pose", "video"), max_bytes=max_bytes, max_items=MAX_ENTRIES)
    check_count(len(form.files), max_items=MAX_ENTRIES)
    wanted = validate(FormRequest, read_options(form.fields), max_items=MAX_ENTRIES, strict=False)
    if wanted.entries and len(wanted.entries) != len(form.files):
        message = f"entries has {len(wanted.entries)} objects for {len(form.files)} files"
        raise InputError(message, problems=(Problem("/entries", message),))
    facts: Sequence[EntryFacts] = wanted.entries or [EntryFacts()] * len(form.files)
    entries = [
        NewEntry(about.id or _name_by_file(name) or _digest(content), about, f"/{kind}/{index}", kind, content)
        for index, (about, content, kind, name) in enumerate(
            zip(facts, form.files, form.kinds, form.names, strict=True)
        )
    ]
    _refuse_twins(entries)
    return NewEntries(wanted, iter([entries]), len(entries))


def _refuse_twins(entries: Sequence[NewEntry]) -> None:
    """Refuse entries of one id: only the last one would be kept."""
    seen: dict[str, str] = {}
    for entry in entries:
        if seen.setdefault(entry.id, entry.pointer) != entry.pointer:
            message = f"{entry.pointer} and {seen[entry.id]} have the same id {entry.id[:200]!r}; give each its own"
            raise InputError(message, problems=(Problem(entry.pointer, message),))


def _batch_lines(request: Request, settings: ServiceSettings) -> Iterator[list[NewEntry]]:
    """Read lines as they arrive, so that a request of any length takes the memory of one batch."""
    batch: list[NewEntry] = []
    size = 0
    for number, line in enumerate(_split_lines(request, settings.max_body_bytes)):
        if line.strip():
            batch.append(_read_line(line, number))
            size += len(line)
        if len(batch) >= _LINES_AT_ONCE or size >= settings.max_body_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _split_lines(request: Request, max_line_bytes: int) -> Iterator[bytes]:
    begun: list[bytes] = []
    number = 0
    for piece in read_pieces(request, max_bytes=MAX_IMPORT_BYTES):
        first, *others = piece.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = [others[-1]]
        number += len(others)
        if sum(map(len, begun)) > max_line_bytes:
            raise TooLargeError(f"line {number + 1} has more than {max_line_bytes} bytes")
    yield b"".join(begun)


def _read_line(line: bytes, number: int) -> NewEntry:
    document = parse_json(line, f"line {number + 1}")
    try:
        return _make_entry(validate(EntryItem, document, max_items=0), f"/{number}")
    except InputError as error:
        places = tuple(Problem(f"/{number}{problem.pointer}", problem.message) for problem in error.problems)
        raise InputError(f"line {number + 1}: {error}", problems=places) from error


def _make_entry(item: EntryItem, pointer: str) -> NewEntry:
    kind = next(name for name in CONTENT if getattr(item, name) is not None)
    content = getattr(item, kind)
    named = [content, item.sign_language, item.spoken_language] if kind == "text" and item.sign_language else content
    return NewEntry(item.id or _digest(named), item, f"{pointer}/{kind}", kind, content, item)


def _digest(content: Any) -> str:
    data = content if isinstance(content, bytes) else orjson.dumps(content)
    return hashlib.sha256(data).hexdigest()[:_DIGEST_CHARS]


def _name_by_file(name: str) -> str:
    """Make an id of a file's name: without its folders, and without what says that it is a clip."""
    base = PurePosixPath(name.replace("\\", "/")).name
    for suffix in (".gz", ".zst", ".pose"):
        base = base.removesuffix(suffix)
    return base
