"""From the JSON of answers to results: dataclasses, float32 arrays, files."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from signclip_client.errors import MixedModelsError
from signclip_client.results import Floats, Result


def build(kind: type[Result], content: Mapping[str, Any]) -> Result:
    """Build a dataclass of the keys of an answer that it knows, each as the field's type says."""
    hints = _find_hints(kind)
    return kind(**{key: convert(hints[key], value) for key, value in content.items() if key in hints})


def convert(hint: Any, value: Any) -> Any:
    """Convert a value of JSON to a type of results.

    Lists become tuples or float32 arrays, objects dataclasses or mappings, and base64 texts bytes.
    """
    if value is None:
        return None
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (hint,) = (branch for branch in inner if branch is not NoneType)
        return convert(hint, value)
    if origin is tuple:
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(convert(inside, item) for inside, item in zip(kinds, value, strict=True))
    if origin is Mapping:
        return {key: convert(inner[1], item) for key, item in value.items()}
    if origin is np.ndarray:
        return np.array(value, np.float32)
    if hint is bytes:
        return base64.b64decode(value)
    return build(hint, value) if is_dataclass(hint) and isinstance(hint, type) else value


# By class, because the types of fields are read from texts each time, which takes longer than the fields themselves.
_hints: dict[Any, dict[str, Any]] = {}


def _find_hints(kind: Any) -> dict[str, Any]:
    if kind not in _hints:
        hints = get_type_hints(kind)
        _hints[kind] = {field.name: hints[field.name] for field in fields(kind)}
    return _hints[kind]


def decode_rows(rows: Sequence[str | None], dimensions: int) -> Floats:
    """Read base64 vectors as float32 (rows, dimensions); NaN where a row is null."""
    vectors = np.full((len(rows), dimensions), np.nan, np.float32)
    for index, row in enumerate(rows):
        if row is not None:
            vectors[index] = np.frombuffer(base64.b64decode(row), "<f4")
    return vectors


def find_common(key: str, contents: Sequence[Mapping[str, Any]]) -> Any:
    """Find the value that all parts of an answer have under a key; null, as where every item was skipped, counts not.

    Raises:
        MixedModelsError: the parts differ, because the model was replaced between them.
    """
    values = [content[key] for content in contents if content.get(key) is not None] or [None]
    if any(value != values[0] for value in values):
        raise MixedModelsError(
            f"the parts of a long list have different values of {key!r}, {values[0]!r} among them: the model was "
            "replaced while they were embedded; call again"
        )
    return values[0]
