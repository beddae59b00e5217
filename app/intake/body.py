"""Reads the body of a request: content types, compression, JSON, forms."""

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import zstandard
from flask import Request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from app.errors import BodyError, InputError, MediaTypeError, NotDecodableError, NotJsonError, Problem, TooLargeError
from app.intake.connection import limit_reading

# A decoder of the zstd content coding must support this much (RFC 9659). With more, one frame could ask for gigabytes.
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
# More than the 64 KiB that werkzeug reads at once, because it counts bytes of a file as a field's until it parses them.
_FORM_FIELDS_BYTES = 256 * 1024
# Parts of a form beside its files. No route has so many options.
_FORM_OPTIONS = 32
_VIDEO_TYPES = ("video/", "image/gif")
_EXAMPLES = {"pose": "clip.pose", "video": "clip.mp4"}


@dataclass(frozen=True)
class Body:
    """The body of a request.

    Attributes:
        document: keys and values as they were sent. From a form or the query they are strings.
        files: contents of the uploaded files; None when the body was JSON, which has no files beside it.
    """

    document: Mapping[str, Any]
    files: Sequence[bytes] | None = None


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
        raise MediaTypeError(f"Content-Type {_quote(request.mimetype)} is not accepted; send application/json")
    return _parse(request, _read(request, max_bytes=max_bytes))


def read_body(request: Request, key: str, *, max_bytes: int, max_items: int) -> Body:
    """Read a body that may be JSON, a form with files, or one raw file.

    Args:
        key: name of the form's file parts.
        max_bytes: of the body, before and after decompression.
        max_items: files of a form.
    Raises:
        MediaTypeError: Content-Type or Content-Encoding is not accepted.
        BodyError: the body is not in the form that its headers declare.
        TooLargeError: the body is larger than max_bytes, or the form has too many parts.
        InputError: a part or a parameter is unknown, missing or given twice.
    """
    if not request.mimetype or request.is_json:
        return Body(_parse(request, _read(request, max_bytes=max_bytes)))
    if request.mimetype == "application/octet-stream" or (key == "video" and request.mimetype.startswith(_VIDEO_TYPES)):
        return Body(_read_options(request.args), files=[_read(request, max_bytes=max_bytes)])
    if request.mimetype == "multipart/form-data":
        _refuse_query(request)
        return _parse_form(request, key, _read(request, max_bytes=max_bytes), max_items=max_items)
    raise MediaTypeError(
        f"Content-Type {_quote(request.mimetype)} is not accepted; "
        f"send application/json, multipart/form-data{', video/*' if key == 'video' else ''} or application/octet-stream"
    )


def _read(request: Request, *, max_bytes: int) -> bytes:
    """Read the whole body and decompress it."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "zstd"):
        raise MediaTypeError(f"Content-Encoding {_quote(coding)} is not accepted; send gzip, zstd or none")
    with limit_reading():
        data = request.get_data(cache=False)
    # Werkzeug cuts a chunked body at the limit and does not report it.
    if request.content_length is None and len(data) >= max_bytes:
        raise TooLargeError(f"the body has {max_bytes} bytes or more")
    if coding in ("gzip", "x-gzip"):
        return _gunzip(data, max_bytes)
    return _unzstd(data, max_bytes) if coding == "zstd" else data


def _gunzip(data: bytes, limit: int) -> bytes:
    # Only one gzip member is accepted: a body of a million empty members would take quadratic time.
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise NotDecodableError("the body is not gzip, but Content-Encoding says that it is") from error
    if len(unpacked) > limit:
        raise TooLargeError(f"the body unpacks to more than {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise NotDecodableError("the body is not exactly one complete gzip stream")
    return unpacked


def _unzstd(data: bytes, limit: int) -> bytes:
    try:
        declared = zstandard.get_frame_parameters(data).content_size
        reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).stream_reader(data)
        unpacked = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise NotDecodableError("the body is not zstd, but Content-Encoding says that it is") from error
    if len(unpacked) > limit:
        raise TooLargeError(f"the body unpacks to more than {limit} bytes")
    if declared not in (zstandard.CONTENTSIZE_UNKNOWN, len(unpacked)):
        raise NotDecodableError("the body is not exactly one complete zstd frame")
    return unpacked


def _parse(request: Request, data: bytes) -> dict[str, Any]:
    _refuse_query(request)
    if not data:
        raise NotJsonError("there is no body; send a JSON object")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotJsonError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise NotJsonError(f"the body is a JSON {type(document).__name__}; send a JSON object")
    return document


def _refuse_query(request: Request) -> None:
    if request.args:
        raise InputError("options belong in the body; only the options of a raw file belong in the query")


def _parse_form(request: Request, key: str, data: bytes, *, max_items: int) -> Body:
    parser = FormDataParser(
        stream_factory=lambda *_, **__: io.BytesIO(),  # the body is in memory already: no temporary files
        max_form_memory_size=_FORM_FIELDS_BYTES,
        max_form_parts=max_items + _FORM_OPTIONS,
        silent=False,
    )
    try:
        _, fields, files = parser.parse(io.BytesIO(data), request.mimetype, len(data), dict(request.mimetype_params))
    except RequestEntityTooLarge as error:
        raise TooLargeError(
            f"a form may have {max_items} files, {_FORM_OPTIONS} fields and {_FORM_FIELDS_BYTES} bytes of fields"
        ) from error
    except ValueError as error:
        raise BodyError("the body is not multipart/form-data with the boundary that Content-Type names") from error
    if key in fields:
        raise _make_error(key, f"must be a file part, as in curl -F {key}=@{_EXAMPLES[key]}")
    for name in files:
        if name != key:
            raise _make_error(name[:64], f"is not the name of a file part here; name the file parts {key!r}")
    uploads: list[FileStorage] = files.getlist(key)
    if not uploads:
        example = f"curl -F {key}=@{_EXAMPLES[key]}"
        raise _make_error(key, f"is missing; send one or more file parts with this name, as in {example}")
    return Body(_read_options(fields), files=[upload.read() for upload in uploads])


def _read_options(values: MultiDict[str, str]) -> dict[str, str]:
    for name, given in values.lists():
        if len(given) > 1:
            raise _make_error(name[:64], f"is given {len(given)} times")
    return values.to_dict()


def _make_error(key: str, message: str) -> InputError:
    return InputError(f"{key} {message}", problems=(Problem(f"/{key}", message),))


def _quote(value: str) -> str:
    return repr(value[:64])
