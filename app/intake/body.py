"""The bytes of a request into a document: content types, compression, JSON, forms."""

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
from app.intake.connection import reading

# What a decoder of the zstd content coding must support (RFC 9659); more would let one frame ask for gigabytes.
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
# More than the 64 KiB that werkzeug reads at once: it counts those of a file as a field's until it has looked at them.
_FORM_FIELDS_BYTES = 256 * 1024
# Parts of a form beside its files: there are fewer options than this.
_FORM_OPTIONS = 32
_EXAMPLES = {"pose": "clip.pose", "video": "clip.mp4"}


@dataclass(frozen=True)
class Body:
    """A request's body.

    Attributes:
        document: keys and values as sent; strings only when they came from a form or the query.
        files: contents of the uploaded files; None when the body was JSON and holds all there is.
    """

    document: Mapping[str, Any]
    files: Sequence[bytes] | None = None


def read_json(request: Request, *, max_bytes: int) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises:
        NotJsonError, NotDecodableError, TooLargeError, MediaTypeError
        InputError: there are query parameters: options belong into the object.
    """
    if request.mimetype and not request.is_json:
        raise MediaTypeError(f"Content-Type {_shown(request.mimetype)} is not read here; send application/json")
    return _parse(request, _read(request, max_bytes=max_bytes))


def read_clips(request: Request, key: str, *, max_bytes: int, max_items: int) -> Body:
    """Read clips in any of their forms: JSON with base64, multipart files, or one raw file.

    Args:
        key: name of the form's file parts.
        max_items: files of a form.
    Raises:
        NotJsonError, NotDecodableError, TooLargeError, MediaTypeError
        InputError: a part or a parameter is unknown, missing or given twice.
    """
    if not request.mimetype or request.is_json:
        return Body(_parse(request, _read(request, max_bytes=max_bytes)))
    if request.mimetype == "application/octet-stream" or (key == "video" and _is_video(request.mimetype)):
        return Body(_options(request.args), files=[_read(request, max_bytes=max_bytes)])
    if request.mimetype == "multipart/form-data":
        _refuse_query(request)
        return _parse_form(request, key, _read(request, max_bytes=max_bytes), max_items=max_items)
    raise MediaTypeError(
        f"Content-Type {_shown(request.mimetype)} is not read here; "
        f"send application/json, multipart/form-data{', video/*' if key == 'video' else ''} or application/octet-stream"
    )


def _is_video(mimetype: str) -> bool:
    return mimetype.startswith("video/") or mimetype == "image/gif"


def _read(request: Request, *, max_bytes: int) -> bytes:
    """The whole body, unpacked."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "zstd"):
        raise MediaTypeError(f"Content-Encoding {_shown(coding)} is not read here; send gzip, zstd or none")
    with reading():
        data = request.get_data(cache=False)
    # Werkzeug ends a chunked body at the limit without a word.
    if request.content_length is None and len(data) >= max_bytes:
        raise TooLargeError(f"the body has {max_bytes} bytes or more")
    if coding in ("gzip", "x-gzip"):
        return _gunzip(data, max_bytes)
    return _unzstd(data, max_bytes) if coding == "zstd" else data


def _gunzip(data: bytes, limit: int) -> bytes:
    # One member only: a body of a million empty ones would take quadratic time.
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise NotDecodableError("the body is not gzip, though Content-Encoding says so") from error
    if len(unpacked) > limit:
        raise TooLargeError(f"the body unpacks to more than {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise NotDecodableError("the body is not one whole gzip stream")
    return unpacked


def _unzstd(data: bytes, limit: int) -> bytes:
    try:
        promised = zstandard.get_frame_parameters(data).content_size
        reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).stream_reader(data)
        unpacked = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise NotDecodableError("the body is not zstd, though Content-Encoding says so") from error
    if len(unpacked) > limit:
        raise TooLargeError(f"the body unpacks to more than {limit} bytes")
    if promised not in (zstandard.CONTENTSIZE_UNKNOWN, len(unpacked)):
        raise NotDecodableError("the body is not one whole zstd frame")
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
        raise NotJsonError(f"the body is a JSON {type(document).__name__}; an object is needed")
    return document


def _refuse_query(request: Request) -> None:
    if request.args:
        raise InputError("options go into the body, not into the query; only a raw file has them there")


def _parse_form(request: Request, key: str, data: bytes, *, max_items: int) -> Body:
    parser = FormDataParser(
        stream_factory=lambda *_, **__: io.BytesIO(),  # the body is in memory already; no files beside it
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
        raise BodyError("the body is no multipart/form-data with the boundary that Content-Type names") from error
    if key in fields:
        raise _wrong(key, f"must be a file part, as in curl -F {key}=@{_EXAMPLES[key]}")
    for name in files:
        if name != key:
            raise _wrong(name[:64], f"is no name for a file; name the parts {key!r}")
    uploads: list[FileStorage] = files.getlist(key)
    if not uploads:
        example = f"curl -F {key}=@{_EXAMPLES[key]}"
        raise _wrong(key, f"is missing; send one or more file parts of that name, as in {example}")
    return Body(_options(fields), files=[upload.read() for upload in uploads])


def _options(values: MultiDict[str, str]) -> dict[str, str]:
    for name, given in values.lists():
        if len(given) > 1:
            raise _wrong(name[:64], f"is given {len(given)} times")
    return values.to_dict()


def _wrong(key: str, message: str) -> InputError:
    return InputError(f"{key} {message}", problems=(Problem(f"/{key}", message),))


def _shown(value: str) -> str:
    return repr(value[:64])
