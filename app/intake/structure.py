"""Counts the values of a JSON text before it is parsed, because each takes far more memory than its text."""

import re

# A list of 256 vectors with 1024 numbers each has 262,400 values.
MOST_VALUES = 400_000
# `[],`, `{},` and deeper nests take 90 to 100 bytes for each bracket in Python, numbers and short strings 40 to 60.
VALUE_BYTES = 100
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)


def count_values(data: bytes, *, limit: int) -> int:
    """Count the commas, brackets and braces outside of strings, and the strings; each value needs one of them.

    The work is bounded by the limit, whatever the text holds.

    Returns:
        The count, or less when the text is so short, or has so few of these characters, that it is within the limit.
        Past the limit counting ends with some number above it.
    """
    marks = _count_marks(data)
    if marks <= limit and data.count(b'"') <= limit:
        return marks
    rest, strings = _STRING.subn(b"", data, count=limit + 1)
    return strings if strings > limit else strings + _count_marks(rest)


def count_open(data: bytes) -> int:
    """Count the lists and objects that the beginning of a JSON text opens and does not close."""
    rest = _STRING.sub(b"", data)
    return rest.count(b"[") + rest.count(b"{") - rest.count(b"]") - rest.count(b"}")


def _count_marks(data: bytes) -> int:
    return sum(map(data.count, (b",", b"[", b"{")))
