"""Parses JSON that clients send, and says in plain words why a text is none."""

from typing import Any

import orjson

from app.errors import NotJsonError
from app.intake.structure import count_open

# orjson nests no deeper.
_DEEPEST = 1024
# Lists and objects that lie open in each other. orjson sets its memory aside by the length of a text, so that only a
# text of little but opening brackets uses it up: 200 `[`, not 130 (orjson 3.13).
_MANY_OPEN = 100


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        what: what the errors call the text, as "the body".
    Raises:
        NotJsonError: the text is no JSON, or another value than an object.
        MemoryError: there is no memory left for it.
    """
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotJsonError(f"{what} is not JSON: {explain_fault(data, error)}") from error
    if not isinstance(document, dict):
        raise NotJsonError(f"{what} is a JSON {type(document).__name__}; send a JSON object")
    return document


def explain_fault(data: bytes, error: orjson.JSONDecodeError) -> str:
    """Say what is wrong with a text; where orjson speaks of its own inside, in words of ours.

    Raises:
        MemoryError: nothing is wrong with the text, but there is no memory left.
    """
    if not data:
        return "it is empty"
    if error.msg.startswith("depth limit"):
        return f"its lists and objects are nested more than {_DEEPEST} deep; send them less deep"
    if error.msg.startswith("failed to allocate"):
        opened = count_open(data[: error.pos + 1])
        if opened < _MANY_OPEN:
            raise MemoryError from error
        return f"its first {error.pos + 1} bytes open {opened} lists and objects that they do not close; close each"
    if error.msg.startswith("str is not valid UTF-8"):
        return _explain_bytes(data)
    return str(error)


def _explain_bytes(data: bytes) -> str:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as fault:
        return f"its byte {fault.start} (0x{data[fault.start]:02X}) is not UTF-8; JSON is sent as UTF-8"
    return "it is not UTF-8; JSON is sent as UTF-8"
