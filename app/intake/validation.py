"""Checks a parsed document against a schema. Every problem has a pointer, and repeats nothing of the input's values."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from app.errors import InputError, Problem, TooManyItemsError, write_pointer

Schema = TypeVar("Schema", bound=BaseModel)

# Far more keys than any schema has: each unknown key costs a problem.
_MAX_KEYS = 64
# Enough to mend a request at once; with long keys, an answer stays below 8 KiB.
_MAX_PROBLEMS = 16
_MAX_KEY_CHARS = 64


def validate(schema: type[Schema], document: Mapping[str, Any], *, max_items: int, strict: bool = True) -> Schema:
    """Check a document against its schema.

    Args:
        max_items: texts and clips of the request together.
        strict: False reads numbers and booleans from strings, because forms and queries carry only strings.
    Raises:
        InputError: a key is wrong, missing or unknown.
        TooManyItemsError: the request has more than max_items.
    """
    if len(document) > _MAX_KEYS:
        raise InputError(f"{len(document)} keys; a request has at most {len(schema.model_fields)}")
    counted = [document[key] for key in getattr(schema, "counted", ()) if isinstance(document.get(key), list)]
    check_count(sum(map(len, counted)), max_items=max_items)
    try:
        return schema.model_validate(_drop_unset(schema, document), strict=strict)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
    problems = tuple(
        _describe(details["loc"], details["type"], message=details["msg"], schema=schema, document=document)
        for details in found
    )
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    first = problems[0]
    raise InputError(f"{first.pointer or 'the request'}: {first.message}{more}", problems=problems[:_MAX_PROBLEMS])


def _drop_unset(schema: type[BaseModel], document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out options that are null: many clients write null for an option that nobody set."""
    options = _list_options(schema)
    return {key: value for key, value in document.items() if value is not None or key not in options}


@cache
def _list_options(schema: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for name, field in schema.model_fields.items() if not field.is_required())


def check_count(items: int, *, max_items: int) -> None:
    """Refuse a request with too many texts and clips.

    Raises:
        TooManyItemsError: there are more than max_items.
    """
    if items > max_items:
        raise TooManyItemsError(f"{items} items; one request may hold {max_items}. Send them in several requests")


def _find_inner(schema: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """Find the schema of the object that holds a key, which may stand in a list of the whole document."""
    for step in location[:-1]:
        field = schema.model_fields.get(str(step))
        inner = [kind for kind in get_args(field.annotation) if isinstance(kind, type)] if field is not None else []
        schema = next((kind for kind in inner if issubclass(kind, BaseModel)), schema)
    return schema


def _locate(location: tuple[int | str, ...], kind: str, document: Mapping[str, Any]) -> list[str]:
    """List the steps of a location that are in the document; others name the branch of a union."""
    steps: list[int | str] = []
    place: Any = document
    for number, step in enumerate(location):
        if isinstance(place, Mapping) and (step in place or kind == "missing"):
            place = place.get(step)
        elif isinstance(place, list) and isinstance(step, int):
            place = place[step]
        elif isinstance(place, str) and isinstance(step, int):  # JSON in a field of a form, which was read since
            return [str(one)[:_MAX_KEY_CHARS] for one in (*steps, *location[number:])]
        else:
            continue
        steps.append(step)
    return [str(step)[:_MAX_KEY_CHARS] for step in steps]


def _describe(
    location: tuple[int | str, ...], kind: str, *, message: str, schema: type[BaseModel], document: Mapping[str, Any]
) -> Problem:
    steps = _locate(location, kind, document)
    pointer = write_pointer(steps)
    if kind == "extra_forbidden":
        known = list(_find_inner(schema, location).model_fields)
        near = get_close_matches(steps[-1], known, n=1)
        message = "unknown key; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}")
    elif kind in ("missing", "too_short") or kind.endswith("_type"):
        message += _explain(location, _find_inner(schema, location))
    return Problem(pointer, message.removeprefix("Value error, "))


def _explain(location: tuple[int | str, ...], schema: type[BaseModel]) -> str:
    """Say what belongs under a key, because a type alone, such as a string, does not tell what to write there."""
    key = next((str(step) for step in reversed(location) if step in schema.model_fields), None)
    if key is None or not schema.model_fields[key].description:
        return ""
    return f" ({key}: {schema.model_fields[key].description})"
