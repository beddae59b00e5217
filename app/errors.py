"""The errors of a request; app/error_table.py says how each is answered.

RequestError
├── MalformedRequestError   the request is not well-formed HTTP
│   ├── RequestLineTooLongError  its first line is too long
│   ├── HeadersTooLargeError  its header fields are too large
│   ├── HeadSlowError       its head did not arrive in time
│   ├── ExpectationError    it expects something that is not done here
│   ├── TransferCodingError its body is coded in a way that is not read here
│   └── HttpVersionError    it is of a version of HTTP that is not spoken here
├── RouteUnknownError       there is no such route
├── SampleUnknownError      no clip that ships has this name
├── MethodNotAllowedError   the route does not accept this method
├── BodyError               the bytes of the body cannot be read
│   ├── NotJsonError        they are no JSON document, or the document is not an object
│   └── NotDecodableError   they are not in the encoding that Content-Encoding names
├── BodySlowError           the body arrives too slowly
├── TooLargeError           the body is over the limit, before or after decompression
├── TooManyItemsError       there are more texts or clips than one request may hold
├── MediaTypeError          this Content-Type or Content-Encoding is not accepted
├── InputError              a key of the document is wrong, missing or unknown
├── ItemError               a text or a clip cannot be embedded
│   ├── Base64Error         it is no base64
│   ├── TextTooLongError    it has more characters than a text may have
│   ├── TokensOverLimitError  it has more word pieces than the model takes
│   └── FramesOverLimitError  it has more frames than the model takes
├── KeyRefusedError         the API key is missing or wrong
├── ScopeMissingError       the API key does not open this route
├── QuotaExceededError      the key or the address has used up what it may use in a time
├── TooManyRequestsError    this web worker handles as many requests as it may
├── ClientDisconnectedError the client has closed the connection
└── NotReadyError           the default model has not passed its probe yet
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a request.

    Attributes:
        pointer: JSON pointer (RFC 6901) into the document; "" is the whole document.
    """

    pointer: str
    message: str


def write_pointer(steps: Iterable[str]) -> str:
    """Write a JSON pointer (RFC 6901) from the keys that lead to a place in the document."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


class RequestError(Exception):
    """Root of this tree.

    Args:
        problems: what is wrong, each with its place in the document.
        code: stable name in answers and logs; None: the name of the class.
    """

    code = "request_invalid"

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = (), code: str | None = None) -> None:
        super().__init__(message)
        self.problems = problems
        if code is not None:
            self.code = code


class MalformedRequestError(RequestError):
    """The request is not well-formed HTTP."""

    code = "request_malformed"


class RequestLineTooLongError(MalformedRequestError):
    """The first line of the request is too long."""

    code = "request_line_too_long"


class HeadersTooLargeError(MalformedRequestError):
    """The header fields are too large."""

    code = "headers_too_large"


class HeadSlowError(MalformedRequestError):
    """The head of the request did not arrive in time."""

    code = "head_too_slow"


class ExpectationError(MalformedRequestError):
    """The request expects something that is not done here."""

    code = "expectation_failed"


class TransferCodingError(MalformedRequestError):
    """The body is coded in a way that is not read here."""

    code = "transfer_coding_unsupported"


class HttpVersionError(MalformedRequestError):
    """The request is of a version of HTTP that is not spoken here."""

    code = "http_version_unsupported"


class RouteUnknownError(RequestError):
    """There is no such route."""

    code = "route_unknown"


class SampleUnknownError(RequestError):
    """No clip that ships has this name."""

    code = "sample_unknown"


class MethodNotAllowedError(RequestError):
    """The route does not accept this method."""

    code = "method_not_allowed"


class BodyError(RequestError):
    """The bytes of the body cannot be read."""

    code = "body_unreadable"


class NotJsonError(BodyError):
    """The body is no JSON document, or the document is not an object."""

    code = "body_not_json"


class NotDecodableError(BodyError):
    """The body is not in the encoding that Content-Encoding names."""

    code = "body_not_decodable"


class BodySlowError(RequestError):
    """The body arrives too slowly."""

    code = "body_too_slow"


class TooLargeError(RequestError):
    """The body is over the limit, before or after decompression."""

    code = "body_too_large"


class TooManyItemsError(RequestError):
    """There are more texts or clips than one request may hold."""

    code = "too_many_items"


class MediaTypeError(RequestError):
    """This Content-Type or Content-Encoding is not accepted."""

    code = "media_type_unsupported"


class InputError(RequestError):
    """A key of the document is wrong, missing or unknown."""

    code = "input_invalid"


class ItemError(RequestError):
    """A text or a clip cannot be embedded."""

    code = "item_invalid"


class Base64Error(ItemError):
    """The item is no base64."""

    code = "base64_invalid"


class TextTooLongError(ItemError):
    """The text has more characters than a text may have."""

    code = "text_too_long"


class TokensOverLimitError(ItemError):
    """The text has more word pieces than the model takes."""

    code = "tokens_over_limit"


class FramesOverLimitError(ItemError):
    """The clip has more frames than the model takes."""

    code = "frames_over_limit"


class KeyRefusedError(RequestError):
    """The API key is missing or wrong."""

    code = "key_refused"


class ScopeMissingError(RequestError):
    """The API key does not open this route."""

    code = "scope_missing"


class QuotaExceededError(RequestError):
    """The key or the address has used up what it may use in a time.

    Args:
        retry_after_s: seconds until it may use more.
    """

    code = "quota_exceeded"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRequestsError(RequestError):
    """This web worker handles as many requests as it may."""

    code = "too_many_requests"
    retry_after_s = 1.0


class ClientDisconnectedError(RequestError):
    """The client has closed the connection."""

    code = "client_gone"


class NotReadyError(RequestError):
    """The default model has not passed its probe yet."""

    code = "not_ready"
    retry_after_s = 2.0
