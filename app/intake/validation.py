"""A parsed document into a schema, with every problem typed, placed and free of the document's own content."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.errors import InputError, Problem, TooManyItemsError
from app.intake.schemas import MANY, ONE

Schema = TypeVar("Schema", bound=BaseModel)

# Far above the keys of any schema: each unknown key costs a problem.
_MOST_KEYS = 64
_MOST_PROBLEMS = 16
_MOST_KEY_CHARS = 64


def validate(schema: type[Schema], document: Mapping[str, Any], *, max_items: int, strict: bool = True) -> Schema:
    """Check a document against its schema.

    Args:
        max_items: texts and clips of the request together.
        strict: False reads numbers and booleans from strings, as forms and query parameters carry them.
    Raises:
        InputError: a key is wrong, missing or unknown.
        TooManyItemsError: more than max_items.
    """
    if len(document) > _MOST_KEYS:
        raise InputError(f"{len(document)} keys; a request has at most {len(schema.model_fields)}")
    counted = [document[key] for key in getattr(schema, "counted", ()) if isinstance(document.get(key), list)]
    check_count(sum(map(len, counted)), max_items=max_items)
    try:
        return schema.model_validate(document, strict=strict)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
    problems = tuple(_problem(details["loc"], details["type"], details["msg"], schema) for details in found)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    first = problems[0]
    raise InputError(f"{first.pointer or 'the request'}: {first.message}{more}", problems=problems[:_MOST_PROBLEMS])


def check_count(items: int, *, max_items: int) -> None:
    """Refuse a request with more than max_items texts and clips."""
    if items > max_items:
        raise TooManyItemsError(f"{items} items; one request may hold {max_items}. Send them in several requests")


def _problem(location: tuple[int | str, ...], kind: str, message: str, schema: type[BaseModel]) -> Problem:
    steps = [str(step)[:_MOST_KEY_CHARS] for step in location if step not in (ONE, MANY)]
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    if kind == "extra_forbidden":
        known = list(schema.model_fields)
        near = get_close_matches(steps[0], known, n=1)
        message = "unknown key; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}")
    return Problem(pointer, message.removeprefix("Value error, "))
