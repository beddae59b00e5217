"""JSON objects as messages between processes. Bytes from another process are checked before they are believed."""

from multiprocessing.connection import Connection
from typing import Any

import orjson

from processes.errors import MessageError


def parse_object(message: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Read the JSON object that a message is.

    Raises:
        MessageError: the bytes are no JSON, or JSON of another type.
    """
    try:
        parsed = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"a message is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise MessageError("a message is no JSON object")
    return parsed


def send_object(connection: Connection, message: dict[str, Any]) -> None:
    """Send a JSON object.

    Raises:
        OSError: the other end is closed.
    """
    connection.send_bytes(orjson.dumps(message))


def receive_object(connection: Connection) -> dict[str, Any]:
    """Wait for a JSON object.

    Raises:
        EOFError, OSError: the other end is closed.
        MessageError: the bytes are no JSON object.
    """
    return parse_object(connection.recv_bytes())
