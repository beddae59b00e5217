"""The one way in for clips: their bytes or base64, their options and their places, whatever form the body has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import Request
from pydantic import BaseModel

from app.intake.body import read_body
from app.intake.schemas import locate_items
from app.intake.validation import check_count, validate

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class RequestClips(Generic[Options]):
    """The clips of one request.

    Attributes:
        options: what the client wants done with them.
        items: base64 of each clip when the body was JSON, otherwise the bytes of each file.
        pointers: JSON pointer (RFC 6901) to each clip; messages about a clip carry it.
    """

    options: Options
    items: Sequence[str | bytes]
    pointers: Sequence[str]


def read_clips(
    request: Request, key: str, *, whole: type[Options], options: type[Options], max_bytes: int, max_items: int
) -> RequestClips[Options]:
    """Read a request's clips from JSON with base64, from multipart files, or from one raw file.

    Args:
        key: key of the clips in a JSON object, and name of the form's file parts.
        whole: schema of a JSON object; it has the options and `key`.
        options: schema of the options when the clips are files.
        max_bytes: of the body, before and after decompression.
        max_items: clips in one request.
    Raises:
        BodyError, MediaTypeError: the body cannot be read.
        TooLargeError, TooManyItemsError: a limit is exceeded.
        InputError: a key, a part or a parameter is wrong, missing or unknown.
    """
    body = read_body(request, key, max_bytes=max_bytes, max_items=max_items)
    if body.files is None:
        checked = validate(whole, body.document, max_items=max_items)
        return RequestClips(checked, *locate_items(key, getattr(checked, key)))
    check_count(len(body.files), max_items=max_items)
    wanted = validate(options, body.document, max_items=max_items, strict=False)
    return RequestClips(wanted, *locate_items(key, body.files))
