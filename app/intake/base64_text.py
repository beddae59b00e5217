"""Reads files that JSON carries as text: base64, or a data URL (RFC 2397)."""

import binascii
import re
from urllib.parse import unquote_to_bytes

import pybase64

from app.errors import Base64Error

# The head of a data URL: its type and parameters. Recorders write commas into them, as in codecs=vp8,opus.
_HEAD_CHARS = 1024
_BASE64_MARK = re.compile(r";\s*base64\s*,", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_ALPHABET = re.compile(r"[^A-Za-z0-9+/=]")
# A path or an address is short, a file is not.
_PATH_CHARS = 1024
_PATH = re.compile(r"^(https?://|file://|blob:|[A-Za-z]:[\\/]|~/)|\.\w{1,5}$")


def decode_base64(text: str) -> bytes:
    """Decode strict base64 or a data URL. Line breaks are allowed.

    Raises:
        Base64Error: the text is no base64; the message says what it looks like, or which character is wrong.
    """
    encoded = text
    if text[:5].lower() == "data:":
        encoded, is_base64 = _open_data_url(text)
        if not is_base64:
            return unquote_to_bytes(encoded)
        if "%" in encoded:
            encoded = unquote_to_bytes(encoded).decode("latin-1")
    if "\n" in encoded or "\r" in encoded:
        encoded = encoded.replace("\r", "").replace("\n", "")
    try:
        return pybase64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Base64Error(_explain(encoded)) from error


def _open_data_url(text: str) -> tuple[str, bool]:
    """Split a data URL: its data, and whether they are base64."""
    head = text[:_HEAD_CHARS]
    # Quoted values may hold commas and even the mark: they are blanked, at the same length.
    bare = _QUOTED.sub(lambda quoted: "_" * len(quoted.group()), head)
    mark = _BASE64_MARK.search(bare)
    if mark is not None:
        return text[mark.end() :], True
    comma = bare.find(",")
    if comma < 0:
        raise Base64Error("a data URL without a comma, which would begin its data")
    return text[comma + 1 :], False


def _explain(text: str) -> str:
    """Say why a text is no base64 and what to send instead."""
    said = f"{len(text)} characters that are not base64: "
    if len(text) <= _PATH_CHARS and _PATH.search(text.strip()):
        return f"{said}they look like a path or an address; send the content of the file, encoded as base64"
    wrong = _ALPHABET.search(text)
    if wrong is None:
        if "=" in text.rstrip("="):
            return f"{said}'=' at {text.index('=')} ends the data, but more follows; encode the whole file at once"
        if text.endswith("==="):
            return f"{said}too much padding ('=') at the end; send what the encoder returned, unchanged"
        return (
            f"{said}the length is not a multiple of 4, so padding ('=') or the end is missing; "
            "send what the encoder returned, unchanged"
        )
    character, place = wrong.group(), wrong.start()
    if character in "-_":
        return f"{said}{character!r} at {place} belongs to URL-safe base64; send standard base64, with '+' and '/'"
    if character == " ":
        return f"{said}blank at {place}; a form turns '+' into a blank: send JSON, or encode '+' as %2B"
    if character == "%":
        return f"{said}'%' at {place} belongs to an encoded address; decode it first"
    return f"{said}{character!r} at {place}; encode the bytes of the file as base64"
