"""The one table from the class of an error to its HTTP status. The README, /docs and the OpenAPI document show it."""

from collections.abc import Iterator
from dataclasses import dataclass

import models.errors as models_errors
import poses.errors as poses_errors
import processes.errors as process_errors
import search.errors as search_errors
import video.errors as video_errors
from app.errors import (
    BodyError,
    BodySlowError,
    ClientDisconnectedError,
    ExpectationError,
    HeadersTooLargeError,
    HeadSlowError,
    HttpVersionError,
    InputError,
    ItemError,
    KeyRefusedError,
    MalformedRequestError,
    MediaTypeError,
    MethodNotAllowedError,
    NotReadyError,
    QuotaExceededError,
    RequestLineTooLongError,
    RouteUnknownError,
    SampleUnknownError,
    ScopeMissingError,
    TooLargeError,
    TooManyItemsError,
    TooManyRequestsError,
    TransferCodingError,
)
from engine.errors import DeviceMemoryError, ItemFailedError, ModelFailedError


@dataclass(frozen=True)
class ErrorAnswer:
    """How a class of errors is answered.

    Attributes:
        status: the HTTP status.
        title: what the class means, the same for all its errors.
        public: whether the client sees the error's message.
    """

    status: int
    title: str
    public: bool = True


# An error is answered as its nearest ancestor in this table, so that a whole subtree needs one line.
ANSWERS: dict[type[Exception], ErrorAnswer] = {
    MalformedRequestError: ErrorAnswer(400, "The request is malformed"),
    HeadSlowError: ErrorAnswer(408, "The request arrives too slowly"),
    RequestLineTooLongError: ErrorAnswer(414, "The first line of the request is too long"),
    ExpectationError: ErrorAnswer(417, "The expectation is not met"),
    HeadersTooLargeError: ErrorAnswer(431, "The header fields are too large"),
    TransferCodingError: ErrorAnswer(501, "This coding of the body is not read"),
    HttpVersionError: ErrorAnswer(505, "This version of HTTP is not spoken"),
    BodyError: ErrorAnswer(400, "The body cannot be read"),
    KeyRefusedError: ErrorAnswer(401, "An API key is needed"),
    ScopeMissingError: ErrorAnswer(403, "The API key does not open this"),
    RouteUnknownError: ErrorAnswer(404, "There is no such route"),
    models_errors.UnknownModelError: ErrorAnswer(404, "There is no such model"),
    SampleUnknownError: ErrorAnswer(404, "There is no such sample"),
    search_errors.NotFoundError: ErrorAnswer(404, "There is no such collection, entry, version or preview"),
    MethodNotAllowedError: ErrorAnswer(405, "The route does not accept this method"),
    BodySlowError: ErrorAnswer(408, "The body arrives too slowly"),
    search_errors.ConflictError: ErrorAnswer(409, "The vectors belong to another space"),
    TooLargeError: ErrorAnswer(413, "The body is too large"),
    TooManyItemsError: ErrorAnswer(413, "There are too many items in one request"),
    MediaTypeError: ErrorAnswer(415, "This type of content is not accepted"),
    InputError: ErrorAnswer(422, "The input is refused"),
    ItemError: ErrorAnswer(422, "An item is refused"),
    poses_errors.PoseError: ErrorAnswer(422, "A pose is refused"),
    video_errors.VideoError: ErrorAnswer(422, "A video is refused"),
    models_errors.UnknownLanguageError: ErrorAnswer(422, "There is no such language"),
    search_errors.SearchError: ErrorAnswer(422, "A collection, an entry or a filter is refused"),
    search_errors.BankError: ErrorAnswer(422, "Nothing can be learned from these examples"),
    search_errors.CalibrationError: ErrorAnswer(422, "The background is too small"),
    process_errors.QueueFullError: ErrorAnswer(429, "The queue is full"),
    QuotaExceededError: ErrorAnswer(429, "A limit is used up"),
    TooManyRequestsError: ErrorAnswer(429, "There are too many requests at once"),
    ClientDisconnectedError: ErrorAnswer(499, "The client closed the connection"),
    process_errors.CancelledError: ErrorAnswer(499, "The request was cancelled"),
    ItemFailedError: ErrorAnswer(500, "The model failed on an item", public=False),
    NotReadyError: ErrorAnswer(503, "The service is not ready"),
    DeviceMemoryError: ErrorAnswer(503, "The device's memory is exhausted"),
    process_errors.EngineStoppedError: ErrorAnswer(503, "The engine is not running"),
    process_errors.VideoStoppedError: ErrorAnswer(503, "The estimation of videos is not running"),
    process_errors.ProcessError: ErrorAnswer(503, "A process of the service failed"),
    video_errors.EstimatorError: ErrorAnswer(503, "The estimation of a video failed"),
    ModelFailedError: ErrorAnswer(503, "The model does not load"),
    models_errors.BackendError: ErrorAnswer(503, "The configured device or backend is not available"),
    models_errors.CatalogError: ErrorAnswer(503, "The configuration of a model is wrong"),
    models_errors.WeightsMissingError: ErrorAnswer(503, "The model's files are not on this machine"),
    models_errors.TokenizerError: ErrorAnswer(503, "The model's tokenizer does not load"),
    models_errors.BackgroundError: ErrorAnswer(503, "The model's background does not load"),
    models_errors.CheckpointError: ErrorAnswer(503, "The model's weights do not load"),
    models_errors.DigestMismatchError: ErrorAnswer(503, "The model's weights are not the recorded ones"),
    search_errors.StoreError: ErrorAnswer(503, "The store cannot be read or written"),
    search_errors.StoreFullError: ErrorAnswer(507, "The store is full"),
    process_errors.DeadlineExceededError: ErrorAnswer(504, "The deadline passed"),
}
UNFORESEEN = ErrorAnswer(500, "The service has a bug", public=False)
UNFORESEEN_CODE = "internal"


def find_answer(error: BaseException) -> ErrorAnswer:
    """Find how an error is answered. An error that is not in the table is a bug of the service."""
    for ancestor in type(error).__mro__:
        if ancestor in ANSWERS:
            return ANSWERS[ancestor]
    return UNFORESEEN


def find_code(error: BaseException) -> str:
    """Find the stable name of an error. The name of an unforeseen error reveals nothing about it."""
    return str(getattr(error, "code", UNFORESEEN_CODE)) if find_answer(error) is not UNFORESEEN else UNFORESEEN_CODE


@dataclass(frozen=True)
class ErrorLine:
    """One line of the table of errors, as people read it."""

    status: int
    title: str
    codes: tuple[str, ...]


def list_error_lines() -> list[ErrorLine]:
    """List every status, its meaning and its codes, in the order of the statuses."""
    lines = [ErrorLine(answer.status, answer.title, tuple(_find_codes(kind))) for kind, answer in ANSWERS.items()]
    lines.append(ErrorLine(UNFORESEEN.status, UNFORESEEN.title, (UNFORESEEN_CODE,)))
    return sorted(lines, key=lambda line: line.status)


def _find_codes(kind: type[Exception]) -> Iterator[str]:
    """Find the codes of a class, and of the classes below it that have no line of their own."""
    yield str(getattr(kind, "code", UNFORESEEN_CODE))
    for child in kind.__subclasses__():
        # Errors that can be answered are defined in the errors.py of their room: the table is then the same whatever
        # else was imported.
        if child not in ANSWERS and child.__module__.endswith(".errors"):
            yield from _find_codes(child)
