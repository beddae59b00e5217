"""What goes over the wire: requests, answers, and a call, which is what one method of a client needs of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np

from signclip_client.chunks import Chunk, Clip, read_file
from signclip_client.errors import ServiceFaultError
from signclip_client.results import Result


def write_json(value: Any) -> str:
    """Write a value as JSON; numbers and arrays of NumPy as those of Python.

    Raises:
        TypeError: a value has no form in JSON.
        ValueError: a number is not finite.
    """
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except ValueError as error:
        raise ValueError(
            "an option or a fact is NaN or infinite, which JSON cannot hold; leave out what is missing"
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON; give lists, texts, numbers or None")


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    Attributes:
        path: below the service's URL.
        body: keys of the JSON body, beside those of the chunk; None for no body.
        chunk: the items that it sends, if it sends a list.
        columns: the texts that these items are compared with, if there are any.
        file: sent as it is, in place of JSON.
        media_type: of the body.
        accept: media type of the answer.
        is_repeatable: whether sending it twice does no harm. All requests that only read or compute are.
        if_gone: of a deletion, the answer in place of 404 when an earlier try, whose answer was lost, may have deleted.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    chunk: Chunk | None = None
    file: Clip | None = None
    media_type: str = "application/json"
    accept: str = "application/json"
    is_repeatable: bool = True
    columns: Chunk | None = None
    if_gone: Mapping[str, Any] | None = None

    def encode_body(self) -> bytes | None:
        """Write the body; None for no body.

        Raises:
            FileError: a file cannot be read.
            TypeError, ValueError: an option is nothing that JSON has.
        """
        if self.file is not None:
            return read_file(self.file)
        if self.body is None:
            return None
        items = {chunk.key: chunk.encode() for chunk in (self.chunk, self.columns) if chunk is not None}
        return write_json({**self.body, **items}).encode()

    def halve(self) -> tuple[Request, Request] | None:
        """Split the request in two; None when it has fewer than two items. Texts beside clips are split last."""
        if self.chunk is not None and (halves := self.chunk.halve()) is not None:
            return replace(self, chunk=halves[0]), replace(self, chunk=halves[1])
        if self.columns is not None and (halves := self.columns.halve()) is not None:
            return replace(self, columns=halves[0]), replace(self, columns=halves[1])
        return None

    def locate(self, message: str) -> str:
        """Let the JSON pointer that begins a message count in the caller's lists."""
        for chunk in (self.chunk, self.columns):
            message = message if chunk is None else chunk.locate(message)
        return message


@dataclass(frozen=True)
class Answer:
    """The body of an answer, and the items that it is about."""

    body: bytes
    chunk: Chunk | None = None
    columns: Chunk | None = None
    if_gone: Mapping[str, Any] | None = None

    def read_json(self) -> dict[str, Any]:
        """Read the object, with places that count in the caller's list.

        Raises:
            ServiceFaultError: the answer is no JSON object.
        """
        content: dict[str, Any]
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            detail = f"the answer is no JSON, but begins with {self.body[:60]!r}; is this the address of the service?"
            raise _make_unreadable(detail) from error
        if not isinstance(content, dict):
            raise _make_unreadable(f"the answer is no JSON object, but begins with {self.body[:60]!r}")
        for chunk in (self.chunk, self.columns):
            if chunk is not None:
                _shift(content, chunk)
        return content


@dataclass(frozen=True)
class Call(Generic[Result]):
    """What to send for one method of a client, and how to read the answers, which come in the order of the requests."""

    requests: Sequence[Request]
    read: Callable[[Sequence[Answer]], Result]

    def read_answers(self, answers: Sequence[Answer]) -> Result:
        """Read the answers to all requests.

        Raises:
            ServiceFaultError: an answer has another form than the service's.
            MixedModelsError: the model was replaced between the parts.
        """
        try:
            return self.read(answers)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            detail = (
                f"the answer lacks what this client reads ({type(error).__name__}: {error}); "
                "is this the address of the service, and do client and service have one version?"
            )
            raise _make_unreadable(detail) from error


def _shift(content: dict[str, Any], chunk: Chunk) -> None:
    """Let the places in an answer that are of a chunk's items count in the caller's list."""
    for key in ("warnings", "rows", "columns"):
        if key in content:
            content[key] = [chunk.locate(text) for text in content[key]]
    for skipped in content.get("errors", ()):
        if skipped.get("pointer", f"/{chunk.key}").split("/")[1] == chunk.key:
            skipped["index"] += chunk.first
        if "pointer" in skipped:
            skipped["pointer"] = chunk.locate(skipped["pointer"])


def _make_unreadable(detail: str) -> ServiceFaultError:
    return ServiceFaultError({"title": "answer unreadable", "detail": detail}, status=200)
