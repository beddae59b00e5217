"""From the JSON of answers to results: dataclasses, float32 arrays, files."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from signclip_client.errors import MixedModelsError
from signclip_client.results import Floats, Result, Span


def build(kind: type[Result], content: Mapping[str, Any]) -> Result:
    """Build a dataclass of the keys of an answer that it knows; lists become tuples."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items() if key in known}
    return kind(**values)


def build_each(kind: type[Result], contents: Sequence[Mapping[str, Any] | None]) -> tuple[Result | None, ...]:
    """Build a dataclass of each object; None of a null."""
    return tuple(None if content is None else build(kind, content) for content in contents)


def decode_rows(rows: Sequence[str | None], dimensions: int) -> Floats:
    """Read base64 vectors as float32 (rows, dimensions); NaN where a row is null."""
    vectors = np.full((len(rows), dimensions), np.nan, np.float32)
    for index, row in enumerate(rows):
        if row is not None:
            vectors[index] = np.frombuffer(base64.b64decode(row), "<f4")
    return vectors


def decode_files(files: Sequence[str | None]) -> tuple[bytes | None, ...]:
    """Read base64 files; None of a null."""
    return tuple(None if file is None else base64.b64decode(file) for file in files)


def read_spans(spans: Sequence[Sequence[int] | None]) -> tuple[Span | None, ...]:
    """Read pairs of frames; None of a null."""
    return tuple(None if span is None else (span[0], span[1]) for span in spans)


def find_common(key: str, contents: Sequence[Mapping[str, Any]]) -> Any:
    """Find the value that all parts of an answer have under a key.

    Raises:
        MixedModelsError: the parts differ, because the model was replaced between them.
    """
    values = [content.get(key) for content in contents]
    if any(value != values[0] for value in values):
        raise MixedModelsError(
            f"the parts of a long list have different values of {key!r}, {values[0]!r} among them: the model was "
            "replaced while they were embedded; call again"
        )
    return values[0]
