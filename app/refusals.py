"""Answers to requests that never reach the application, because their head is not well-formed or does not arrive."""

import uuid
from typing import Any

import orjson
from gunicorn.http import errors as http

from app.error_table import ErrorAnswer, find_answer, find_code
from app.errors import (
    BodyError,
    ExpectationError,
    HeadersTooLargeError,
    HttpVersionError,
    MalformedRequestError,
    RequestError,
    RequestLineTooLongError,
    TransferCodingError,
)

# The product that answers, without a version: which faults a version has is nobody's business.
SERVER = "signclip"
# What is wrong with a request, in words of ours: gunicorn's own words repeat what the client sent.
_REFUSALS: dict[type[Exception], RequestError] = {
    http.LimitRequestLine: RequestLineTooLongError("the request line has more than 4094 bytes"),
    http.LimitRequestHeaders: HeadersTooLargeError("there are more than 100 header fields, or one has over 8190 bytes"),
    http.UnsupportedTransferCoding: TransferCodingError("send the body as it is, or with Transfer-Encoding: chunked"),
    http.ExpectationFailed: ExpectationError("the only expectation that is met is 100-continue"),
    http.InvalidHTTPVersion: HttpVersionError("send HTTP/1.1 or HTTP/1.0"),
    http.InvalidRequestMethod: MalformedRequestError("the method is no word of 3 to 20 capital letters"),
    http.InvalidRequestLine: MalformedRequestError(
        "the request line is not METHOD PATH HTTP/1.1 in printable ASCII; percent-encode other characters of the "
        "address, as %C3%A4 for ä"
    ),
    http.ObsoleteFolding: MalformedRequestError("a header field goes on in the next line"),
    http.InvalidSchemeHeaders: MalformedRequestError("header fields disagree on the scheme"),
    http.InvalidChunkSize: BodyError("the chunks of the body are malformed"),
    http.ChunkMissingTerminator: BodyError("the chunks of the body are malformed"),
    http.InvalidChunkExtension: BodyError("the chunks of the body are malformed"),
    http.ParseException: MalformedRequestError("a header field is malformed, or stands there twice"),
}


def translate(error: Exception) -> RequestError | None:
    """Find the error of ours for one of gunicorn's; None if it is not the client's fault."""
    if isinstance(error, RequestError):
        return error
    return next((_REFUSALS[kind] for kind in type(error).__mro__ if kind in _REFUSALS), None)


def render(error: Exception) -> bytes:
    """Write the whole answer to an error as a server sends it; the connection ends with it."""
    answer, request_id = find_answer(error), uuid.uuid4().hex
    detail = str(error) if answer.public else "the server's log says more"
    body = orjson.dumps(compose(answer, code=find_code(error), detail=detail, request_id=request_id))
    lines = (
        f"HTTP/1.1 {answer.status} {answer.title}",
        f"Server: {SERVER}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "X-Content-Type-Options: nosniff",
        f"X-Request-ID: {request_id}",
    )
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def compose(answer: ErrorAnswer, *, code: str, detail: str, request_id: str) -> dict[str, Any]:
    """Compose the body of a problem (RFC 9457)."""
    return {
        "type": f"urn:signclip:{code}",
        "title": answer.title,
        "status": answer.status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
    }
