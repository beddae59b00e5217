"""What a request can be refused with, and the one table from class of error to HTTP status.

RequestError
├── BodyError               the bytes of the body cannot be read
│   ├── NotJsonError        they are no JSON document, or not an object
│   └── NotDecodableError   they are not what Content-Encoding says
├── TooLargeError           the body, or what it unpacks to, is over the limit
├── TooManyItemsError       more texts or clips than one request may hold
├── MediaTypeError          a Content-Type or Content-Encoding that is not read here
├── InputError              the document has a wrong, missing or unknown key
├── ItemError               one text or clip cannot be embedded
│   ├── Base64Error         it is no base64
│   ├── TextTooLongError    it has more characters than a text may have
│   ├── TokensOverLimitError  it has more word pieces than the model takes
│   └── FramesOverLimitError  it has more frames than the model takes
├── KeyRefusedError         no API key, or a wrong one
├── TooManyRequestsError    this worker has as many requests as it takes
├── ClientGoneError         whoever asked has closed the connection
└── NotReadyError           the default model has not proved itself yet

`python -m app.errors` prints the table of the README.
"""

from dataclasses import dataclass

import engine.errors as engine_errors
import models.errors as models_errors
import poses.errors as poses_errors
import processes.errors as process_errors
import video.errors as video_errors


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, at a place of the request's document (RFC 6901)."""

    pointer: str
    message: str


class RequestError(Exception):
    """Root of this tree; `code` names the class in answers and logs."""

    code = "request_invalid"

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = (), code: str | None = None) -> None:
        super().__init__(message)
        self.problems = problems
        if code is not None:
            self.code = code


class BodyError(RequestError):
    code = "body_unreadable"


class NotJsonError(BodyError):
    code = "body_not_json"


class NotDecodableError(BodyError):
    code = "body_not_decodable"


class TooLargeError(RequestError):
    code = "body_too_large"


class TooManyItemsError(RequestError):
    code = "too_many_items"


class MediaTypeError(RequestError):
    code = "media_type_unsupported"


class InputError(RequestError):
    code = "input_invalid"


class ItemError(RequestError):
    code = "item_invalid"


class Base64Error(ItemError):
    code = "base64_invalid"


class TextTooLongError(ItemError):
    code = "text_too_long"


class TokensOverLimitError(ItemError):
    code = "tokens_over_limit"


class FramesOverLimitError(ItemError):
    code = "frames_over_limit"


class KeyRefusedError(RequestError):
    code = "key_refused"


class TooManyRequestsError(RequestError):
    code = "too_many_requests"
    retry_after_s = 1.0


class ClientGoneError(RequestError):
    code = "client_gone"


class NotReadyError(RequestError):
    code = "not_ready"
    retry_after_s = 2.0


@dataclass(frozen=True)
class Answer:
    """How a class of errors is answered; `public` details are shown to the client."""

    status: int
    title: str
    public: bool = True


# The nearest class of an error's ancestry decides, so a subtree needs one line.
ANSWERS: dict[type[Exception], Answer] = {
    BodyError: Answer(400, "The body cannot be read"),
    KeyRefusedError: Answer(401, "An API key is needed"),
    models_errors.UnknownModelError: Answer(404, "There is no such model"),
    TooLargeError: Answer(413, "The body is too large"),
    TooManyItemsError: Answer(413, "Too many items in one request"),
    MediaTypeError: Answer(415, "This type of content is not read"),
    InputError: Answer(422, "The input is refused"),
    ItemError: Answer(422, "An item is refused"),
    poses_errors.PoseError: Answer(422, "A pose is refused"),
    video_errors.VideoError: Answer(422, "A video is refused"),
    models_errors.UnknownLanguageError: Answer(422, "There is no such language"),
    process_errors.QueueFullError: Answer(429, "The queue is full"),
    TooManyRequestsError: Answer(429, "Too many requests at once"),
    ClientGoneError: Answer(499, "The client closed the connection"),
    process_errors.CancelledError: Answer(499, "The request was cancelled"),
    engine_errors.ItemFailedError: Answer(500, "The model failed on an item", public=False),
    NotReadyError: Answer(503, "The service is not ready"),
    process_errors.EngineStoppedError: Answer(503, "The engine is not running"),
    process_errors.VideoStoppedError: Answer(503, "The estimation of videos is not running"),
    video_errors.EstimatorError: Answer(503, "The estimation of a video was lost"),
    engine_errors.ModelFailedError: Answer(503, "The model does not load"),
    models_errors.WeightsMissingError: Answer(503, "The model's files are not on this machine"),
    models_errors.TokenizerError: Answer(503, "The model's tokenizer does not load"),
    models_errors.CheckpointError: Answer(503, "The model's weights do not load"),
    models_errors.DigestMismatchError: Answer(503, "The model's weights are not the recorded ones"),
    process_errors.DeadlineExceededError: Answer(504, "The deadline passed"),
}
UNFORESEEN = Answer(500, "An error of the service", public=False)
UNFORESEEN_CODE = "internal"


def answer_to(error: BaseException) -> Answer:
    """Find how an error is answered; what no line foresees is our bug."""
    for ancestor in type(error).__mro__:
        if ancestor in ANSWERS:
            return ANSWERS[ancestor]
    return UNFORESEEN


def code_of(error: BaseException) -> str:
    """The error's stable name; that of an unforeseen one says nothing."""
    return str(getattr(error, "code", UNFORESEEN_CODE)) if answer_to(error) is not UNFORESEEN else UNFORESEEN_CODE


def _codes(ancestor: type[Exception]) -> list[str]:
    """Codes of a line of the table: of its class and of those below that have no line of their own."""
    found = [str(getattr(ancestor, "code", UNFORESEEN_CODE))]
    for child in ancestor.__subclasses__():
        if child not in ANSWERS:
            found += [code for code in _codes(child) if code not in found]
    return found


def errors_table() -> str:
    """Render the table of errors as the README's Markdown table."""
    rows = ["| status | meaning | `code` |", "|---|---|---|"]
    for ancestor, answer in sorted(ANSWERS.items(), key=lambda line: line[1].status):
        rows.append(f"| {answer.status} | {answer.title} | {', '.join(f'`{code}`' for code in _codes(ancestor))} |")
    rows.append(f"| {UNFORESEEN.status} | {UNFORESEEN.title} | `{UNFORESEEN_CODE}` |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(errors_table())
