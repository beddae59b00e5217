"""Reads the body of a request: content types, compression, JSON, forms."""

import codecs
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Request

from app.access.admission import get_body
from app.errors import InputError, MediaTypeError, NotDecodableError, NotJsonError, TooLargeError
from app.intake.connection import BodyLimits, limit_reading, read_into, read_piece, take_arrived
from app.intake.forms import Form, parse_form
from app.intake.json_text import parse_json
from app.intake.media_types import refuse_media_type
from app.intake.options import read_options, read_query
from app.intake.structure import MOST_VALUES, VALUE_BYTES, count_values
from processes.compression import PackedTooLargeError, Packing, PackingError, unpack
from processes.file_kinds import recognize

# A decoder of the zstd content coding must support this much (RFC 9659). With more, one frame could ask for gigabytes.
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
# A body is in memory twice: as it came, and as texts or files that were taken out of it.
_COPIES = 2
# Small, because a piece may take as long as its bytes may; large, because each is copied.
# Of a body that is read piece by piece.
_PIECE_BYTES = 256 * 1024
_FIRST_PIECE_BYTES, _LARGEST_PIECE_BYTES = 8 * 1024, 1024 * 1024
# What one raw file may be called, beside application/octet-stream.
_FILE_TYPES = {
    "video": ("video/", "image/gif", "application/ogg"),
    "pose": ("application/zstd", "application/gzip", "application/x-gzip"),
}


@dataclass(frozen=True)
class Body:
    """The body of a request.

    Attributes:
        document: keys and values as they were sent. From a form or the query they are strings.
        files: contents of the uploaded files; None when the body was JSON, which has no files beside it.
    """

    document: Mapping[str, Any]
    files: Sequence[bytes] | None = None


def find_file_kind(mimetype: str) -> str | None:
    """Find what a raw body of a Content-Type is, "pose" or "video"; None: it is no raw file."""
    if mimetype == "application/octet-stream":
        return "pose"
    return next((kind for kind, types in _FILE_TYPES.items() if mimetype.startswith(types)), None)


def read_json(request: Request, *, max_bytes: int) -> Mapping[str, Any]:
    """Read a JSON object.

    Args:
        max_bytes: of the body, before and after decompression.
    Raises:
        MediaTypeError: Content-Type or Content-Encoding is not accepted.
        NotJsonError, NotDecodableError: the body is no JSON object, or not in the encoding it declares.
        TooLargeError: the body is larger than max_bytes.
        InputError: there are query parameters, but options belong in the object.
    """
    if request.mimetype and not request.is_json:
        raise refuse_media_type(request.mimetype, ["application/json"])
    return _parse(request, _read(request, max_bytes=max_bytes))


def read_body(request: Request, key: str, *, max_bytes: int, max_items: int, lists: Collection[str] = ()) -> Body:
    """Read a body that may be JSON, a form with files, or one raw file.

    Args:
        key: name of the form's file parts.
        max_bytes: of the body, before and after decompression.
        max_items: files of a form.
        lists: options of the query beside a raw file that may be given several times.
    Raises:
        MediaTypeError: Content-Type or Content-Encoding is not accepted.
        BodyError: the body is not in the form that its headers declare.
        TooLargeError: the body is larger than max_bytes, or the form has too many parts.
        InputError: a part or a parameter is unknown, missing or given twice.
    """
    if not request.mimetype or request.is_json:
        return Body(_parse(request, _read(request, max_bytes=max_bytes)))
    if request.mimetype == "application/octet-stream" or request.mimetype.startswith(_FILE_TYPES[key]):
        return Body(read_query(request, lists=lists), files=[_read(request, max_bytes=max_bytes)])
    if request.mimetype == "multipart/form-data":
        _refuse_query(request)
        return _parse_form(request, key, _read(request, max_bytes=max_bytes), max_items=max_items)
    video = ["video/*"] if key == "video" else []
    raise refuse_media_type(
        request.mimetype, ["application/json", "multipart/form-data", *video, "application/octet-stream"]
    )


def read_form(request: Request, keys: tuple[str, ...], *, max_bytes: int, max_items: int) -> Form:
    """Read multipart/form-data whose file parts may have several names.

    Args:
        keys: names that file parts may have.
        max_bytes: of the body, before and after decompression.
        max_items: files of the form.
    Raises:
        BodyError: the body is no form with the boundary that Content-Type names.
        TooLargeError: the body is larger than max_bytes, or the form has too many parts.
        InputError: a part is unknown or missing, or there are query parameters.
    """
    _refuse_query(request)
    data = _read(request, max_bytes=max_bytes)
    return parse_form(data, request.mimetype_params.get("boundary", ""), keys, max_items=max_items)


def read_file(request: Request, *, max_bytes: int) -> bytes:
    """Read a body that is one file, and decompress it.

    Args:
        max_bytes: of the body, before and after decompression.
    Raises:
        MediaTypeError: Content-Encoding is not accepted.
        NotDecodableError: the body is not in the encoding that Content-Encoding names.
        TooLargeError: the body is larger than max_bytes.
    """
    return _read(request, max_bytes=max_bytes)


def read_pieces(request: Request, *, max_bytes: int) -> Iterator[bytes]:
    """Read a body piece by piece, so that a body of any length takes the memory of one piece.

    Args:
        max_bytes: of the whole body, which may not be compressed.
    Raises:
        MediaTypeError: the body is compressed.
        TooLargeError: the body is larger than max_bytes.
        ClientDisconnectedError, BodySlowError, BodyError: see limit_reading.
    """
    request.max_content_length = max_bytes
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise MediaTypeError("a body that is read piece by piece is not compressed; leave Content-Encoding out")
    if request.content_length is not None and request.content_length > max_bytes:
        raise TooLargeError(f"the body has more than {max_bytes} bytes")
    get_body().add(_PIECE_BYTES)
    size = 0
    while True:
        with limit_reading() as limits:
            limits.allow(_PIECE_BYTES)
            piece = request.stream.read(_PIECE_BYTES)
        # The client that waited for `100 Continue` has been answered.
        request.environ.pop("HTTP_EXPECT", None)
        size += len(piece)
        # Werkzeug cuts a chunked body at the limit and does not report it.
        if request.content_length is None and size >= max_bytes:
            raise TooLargeError(f"the body has {max_bytes} bytes or more")
        if not piece:
            return
        yield piece


def _read(request: Request, *, max_bytes: int) -> bytes:
    """Read the whole body and decompress it."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "zstd"):
        raise MediaTypeError(f"Content-Encoding {_quote(coding)} is not accepted; send gzip, zstd or none")
    data = _receive(request, max_bytes)
    if coding == "identity":
        return data
    packing: Packing = "zstd" if coding == "zstd" else "gzip"
    account = get_body()
    try:
        return unpack(
            data,
            packing,
            max_bytes=max_bytes,
            max_window_bytes=_ZSTD_WINDOW_BYTES,
            on_piece=lambda size: account.add(_COPIES * size),
        )
    except PackedTooLargeError as error:
        raise TooLargeError(f"the body unpacks to more than {max_bytes} bytes") from error
    except PackingError as error:
        raise NotDecodableError(f"Content-Encoding says {packing}, but the body is {error}") from error


def _receive(request: Request, max_bytes: int) -> bytes:
    """Read the body as it is sent, in pieces that grow, each with the time that it may take."""
    account, length = get_body(), request.content_length
    if length is not None:
        if length > max_bytes:
            raise TooLargeError(f"the body has more than {max_bytes} bytes")
        account.add(_COPIES * length)
    if length is not None:
        received = _receive_at_once(length) if length > _FIRST_PIECE_BYTES else take_arrived(length)
        if received is not None:
            return received
    pieces: list[bytes] = []
    size = 0
    with limit_reading() as limits:
        while length is None or size < length:
            most = min(max(_FIRST_PIECE_BYTES, size), _LARGEST_PIECE_BYTES)
            limits.allow(size + most)
            piece = read_piece(most)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if length is None:
                account.add(_COPIES * len(piece))
    # Werkzeug cuts a chunked body at the limit and does not report it.
    if length is None and size >= max_bytes:
        raise TooLargeError(f"the body has {max_bytes} bytes or more")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _DirectBody(io.RawIOBase):
    """A body of known length, read from its connection into the memory of whoever asks for it.

    Args:
        limits: how long it may take; told again after each piece.
    """

    def __init__(self, length: int, limits: BodyLimits) -> None:
        self._length, self._limits = length, limits
        self._size = 0

    def readable(self) -> bool:
        """Return that this file can be read, as io.BufferedReader asks."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # it gets nothing but these
        """Read some of the body; None: this server gives it as a stream alone.

        Raises:
            OSError: the connection ends before the body, or pauses too long.
        """
        size = self._size
        self._limits.allow(size + min(max(_FIRST_PIECE_BYTES, size), _LARGEST_PIECE_BYTES, self._length - size))
        count = read_into(buffer)
        self._size += count or 0
        return count


def _receive_at_once(length: int) -> bytes | None:
    """Receive a body of known length into one piece of memory; None: this server gives it as a stream alone."""
    with limit_reading() as limits:
        # With a buffer of one byte, it lets the body be read straight into the bytes that it returns. Python has no
        # other way to make bytes that are neither filled with zeros first nor copied.
        return io.BufferedReader(_DirectBody(length, limits), 1).read(length)


def _parse(request: Request, data: bytes) -> dict[str, Any]:
    _refuse_query(request)
    if not data:
        raise NotJsonError("there is no body; send a JSON object")
    values = count_values(data, limit=MOST_VALUES)
    if values > MOST_VALUES:
        raise TooLargeError(f"the JSON has more than {MOST_VALUES} values")
    get_body().add(VALUE_BYTES * values)
    try:
        return parse_json(data.removeprefix(codecs.BOM_UTF8), "the body")
    except NotJsonError as error:
        other = _recognize_other(request, data)
        raise error if other is None else NotJsonError(other) from error


def _recognize_other(request: Request, data: bytes) -> str | None:
    """Say what a body is that is no JSON: text in another encoding, or a file without a Content-Type; None: neither."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or data[:2] in (b"{\0", b"\0{"):
        return "the body is UTF-16; JSON is sent as UTF-8"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as fault:
        kind = recognize(data)
        if kind.family not in ("text", "mangled", "unknown"):
            said = f"Content-Type is {_quote(request.mimetype)}" if request.mimetype else "there is no Content-Type"
            return f"the body looks like {kind.name}, but {said}; send a file as application/octet-stream"
        declared = request.mimetype_params.get("charset")
        said = f" and Content-Type says charset={_quote(declared)}" if declared else ""
        return (
            f"byte {fault.start} of the body (0x{data[fault.start]:02X}) is not UTF-8{said}; JSON is sent as UTF-8, "
            "as with Content-Type: application/json; charset=utf-8 in PowerShell"
        )
    return None


def _refuse_query(request: Request) -> None:
    if request.args:
        raise InputError("options belong in the body; only the options of a raw file belong in the query")


def _parse_form(request: Request, key: str, data: bytes, *, max_items: int) -> Body:
    form = parse_form(data, request.mimetype_params.get("boundary", ""), (key,), max_items=max_items)
    # Videos wait long, and would keep the body beside their copies.
    return Body(read_options(form.fields), files=form.files if key == "pose" else list(form.files))


def _quote(value: str) -> str:
    return repr(value[:64])
