"""JSON objects as messages between processes. Bytes from another process are checked before they are believed."""

from multiprocessing.connection import Connection
from typing import Any

import orjson

from processes.errors import MessageError

# Twice the largest video (SIGNCLIP_MAX_VIDEO_BYTES). A length beyond it is no length; memory for it would be claimed
# before the first byte is there.
LARGEST_BYTES = 2 * 1024**3
# Of a JSON object, whose longest part is a list of warnings.
LARGEST_OBJECT_BYTES = 16 * 1024**2


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
        EOFError, OSError: the other end is closed, or the message is longer than an object may be.
        MessageError: the bytes are no JSON object.
    """
    return parse_object(connection.recv_bytes(LARGEST_OBJECT_BYTES))


def receive_bytes(connection: Connection) -> bytes:
    """Wait for a message of bytes, as a video or a pose is.

    Raises:
        EOFError, OSError: the other end is closed, or the message is longer than any may be.
    """
    return connection.recv_bytes(LARGEST_BYTES)
