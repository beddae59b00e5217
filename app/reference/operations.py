"""What a route tells the OpenAPI document about itself, written beside its view."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flask import Response
from pydantic import BaseModel

View = TypeVar("View", bound=Callable[[], Response])


@dataclass(frozen=True)
class Operation:
    """One route.

    Attributes:
        summary: one line.
        answer: schema of a 200.
        request: schema of a JSON body; None for routes that take none.
        options: schema of what goes beside a clip that comes as a file; None where clips are not taken as files.
        statuses: those of errors it can answer with, besides 500.
        npy: whether it can answer a raw array.
        pose: whether it can answer a .pose file, and lines that tell how far it is.
        files: name of the form's file parts.
        text: whether it answers plain text.
        description: Markdown-free sentences.
    """

    summary: str
    answer: type[BaseModel] | None
    request: type[BaseModel] | None = None
    options: type[BaseModel] | None = None
    statuses: tuple[int, ...] = ()
    npy: bool = False
    pose: bool = False
    files: str = "pose"
    text: bool = False
    description: str = ""


def operation(about: Operation) -> Callable[[View], View]:
    """Attach a description to a view."""

    def attach(view: View) -> View:
        view.operation = about  # type: ignore[attr-defined]
        return view

    return attach
