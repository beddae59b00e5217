"""What each route says about itself for the OpenAPI document. It is written beside the view."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Operation:
    """One route.

    Attributes:
        summary: one line, without a full stop.
        answer: schema of a 200 answer; None when it is not JSON.
        request: schema of a JSON body; None for routes without a body.
        options: schema of the options when clips are files; None for routes that take no files.
        statuses: statuses of the errors that the route can answer, besides 500.
        npy: whether the route can answer a raw array.
        pose: whether the route can answer a .pose file, and lines of progress.
        lines: whether the route can answer lines of progress.
        form: whether the request may be a form, whose file parts are named pose and video; with options, one file.
        files: name of the form's file parts.
        text: whether the route answers plain text.
        file: whether the route answers the bytes of a file.
        others: other types of answers, all of them text.
        media: types of the files that the route answers; none: the type is not known before.
        takes: type of the file that is the body.
        query: schema of the parameters in the query.
        description: plain sentences.
    """

    summary: str
    answer: type[BaseModel] | None
    request: type[BaseModel] | None = None
    options: type[BaseModel] | None = None
    statuses: tuple[int, ...] = ()
    npy: bool = False
    pose: bool = False
    lines: bool = False
    form: bool = False
    files: str = "pose"
    text: bool = False
    file: bool = False
    others: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    takes: str = ""
    query: type[BaseModel] | None = None
    description: str = ""


def describe(about: Operation) -> Callable[[View], View]:
    """Attach a description to a view."""

    def attach(view: View) -> View:
        view.operation = about  # type: ignore[attr-defined]
        return view

    return attach
