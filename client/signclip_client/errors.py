"""What can go wrong, as classes; `code` says more exactly what a service refused.

SignClipError
├── FileError               a clip's file cannot be read
├── NoAnswerError           the service could not be reached, or the connection broke
│   └── NoAnswerInTimeError   no answer came within timeout_s
├── MixedModelsError        the model was replaced while a long list was embedded
└── AnswerError             the service answered with an error: status, code, detail, request_id, places
    ├── RequestError          the request as a whole is refused: its form, its size, its route
    ├── AccessError           the API key is missing, wrong, or may not do this
    ├── NotFoundError         there is no such model, language or other named thing
    ├── ConflictError         what is there does not go with the request
    ├── InputError            a key or an item is refused
    │   ├── TextError           a text
    │   ├── PoseError           a pose
    │   └── VideoError          a video
    ├── BusyError             too many requests at once; waiting helps
    ├── UnavailableError      the service, or a part of it, is not running, or its disk is full
    ├── DeadlineError         the service did not finish in its own time limit
    └── ServiceFaultError     the service has a bug
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class SignClipError(Exception):
    """Root of this tree."""


class FileError(SignClipError):
    """A clip's file cannot be read."""


class NoAnswerError(SignClipError):
    """The service could not be reached, or the connection broke."""


class NoAnswerInTimeError(NoAnswerError):
    """No answer came within timeout_s."""


class MixedModelsError(SignClipError):
    """The model was replaced while a long list was embedded: its vectors cannot be compared with each other."""


@dataclass(frozen=True)
class Place:
    """One thing that is wrong with a request.

    Attributes:
        pointer: JSON pointer to it, such as /pose/3; its number counts in the list that the caller gave.
        message: what is wrong.
    """

    pointer: str
    message: str


class AnswerError(SignClipError):
    """The service answered with an error.

    Attributes:
        status: HTTP status.
        code: stable name of what was wrong, such as "pose_truncated"; "" when the answer has none (a proxy's page).
        detail: what was wrong, in a sentence.
        request_id: finds the request in the service's log; "" when the answer has none.
        places: what is wrong with the input, each with its place.
        retry_after_s: seconds after which the service asks to be called again; None when it does not say.
    """

    def __init__(self, problem: Mapping[str, Any], *, status: int, retry_after_s: float | None = None) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", ""))
        self.request_id = str(problem.get("request_id", ""))
        self.places = tuple(Place(place["pointer"], place["message"]) for place in problem.get("errors", ()))
        self.retry_after_s = retry_after_s
        named = f" ({self.code})" if self.code else ""
        traced = f" [request {self.request_id}]" if self.request_id else ""
        super().__init__(f"{status} {problem.get('title', 'error')}{named}: {self.detail}{traced}")


class RequestError(AnswerError):
    """The request as a whole is refused: its form, its size, its route."""


class AccessError(AnswerError):
    """The API key is missing, wrong, or may not do this."""


class NotFoundError(AnswerError):
    """There is no such model, language or other named thing."""


class ConflictError(AnswerError):
    """What is there does not go with the request."""


class InputError(AnswerError):
    """A key or an item is refused."""


class TextError(InputError):
    """A text is refused."""


class PoseError(InputError):
    """A pose is refused."""


class VideoError(InputError):
    """A video is refused."""


class BusyError(AnswerError):
    """Too many requests at once; waiting helps."""


class UnavailableError(AnswerError):
    """The service, or a part of it, is not running."""


class DeadlineError(AnswerError):
    """The service did not finish in its own time limit."""


class ServiceFaultError(AnswerError):
    """The service has a bug."""


_BY_STATUS: dict[int, type[AnswerError]] = {
    401: AccessError,
    403: AccessError,
    409: ConflictError,
    412: ConflictError,
    422: InputError,
    429: BusyError,
    502: UnavailableError,
    503: UnavailableError,
    504: DeadlineError,
    507: UnavailableError,
}
# Of a refused item, the code says which kind it is of; of a name that is not known, that another name may help.
_BY_CODE: tuple[tuple[re.Pattern[str], frozenset[int], type[AnswerError]], ...] = (
    (re.compile(r"(?!route_).+"), frozenset({404}), NotFoundError),
    (re.compile(r".*_unknown"), frozenset({422}), NotFoundError),
    (re.compile(r"text_.*|tokens_.*"), frozenset({422}), TextError),
    (re.compile(r"pose_.*|not_a_pose|frames_.*"), frozenset({422}), PoseError),
    (re.compile(r"video_.*|not_a_video"), frozenset({422}), VideoError),
)
# Codes that end alike, but name no thing that the caller chose.
_NO_NAMES = frozenset({"pose_version_unknown", "pose_features_unknown"})


def find_error_class(status: int, code: str) -> type[AnswerError]:
    """Find the class for an answer's status and code; a code that this package does not know goes by its status."""
    for pattern, statuses, kind in _BY_CODE:
        if status in statuses and pattern.fullmatch(code) and not (kind is NotFoundError and code in _NO_NAMES):
            return kind
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServiceFaultError if status >= 500 else RequestError
