"""Recognizes kinds of text, and bytes that were taken for text on their way."""

from __future__ import annotations

import re
from typing import Literal

TextFamily = Literal["text", "page", "base64", "address", "pointer", "document"]

_REPLACEMENT = "�".encode()
# A character that replaces others stands in bytes by chance once in 16 million places.
_FEWEST_REPLACEMENTS = 3
# In bytes that are no text, so many letters beyond ASCII never form whole UTF-8 by chance.
_FEWEST_LETTERS = 8
_SHOWN_CHARS = 40
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
# Of a file, not of a word: digits and letters of both sizes, without a blank in a line.
_BASE64 = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z0-9+/_\-]{40,}={0,2}")
_HEX = re.compile(r"(?=[a-fA-F]*[0-9])(?:[0-9a-fA-F]{2}\s*){16,}")
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.\-]*://|/|~/|\.{1,2}/|[A-Za-z]:\\|\\\\)\S[^\n]*|[^\s/]+\.\w{1,5}", re.ASCII)

# What a text starts with, in small letters, what it then is, and its family.
_STARTS: tuple[tuple[str, str, TextFamily], ...] = (
    ("<!doctype html", "an HTML page", "page"),
    ("<html", "an HTML page", "page"),
    ("<head", "an HTML page", "page"),
    ("<body", "an HTML page", "page"),
    ("<script", "an HTML page", "page"),
    ("<svg", "an SVG picture", "document"),
    ("version https://git-lfs.github.com/spec/", "a Git LFS pointer", "pointer"),
    ("/annex/objects/", "a git-annex pointer", "pointer"),
    ("#extm3u", "a playlist of addresses", "address"),
    ("ffconcat ", "a list of files", "address"),
    ("[internetshortcut]", "a link to an address", "address"),
    ("data:", "a data URL", "base64"),
)


def recognize_mangled(head: bytes) -> str | None:
    """Find out whether bytes were read or sent as text, which changed them; None if they were not."""
    text = _decoded(head)
    if text is None:
        return None if head.count(_REPLACEMENT) < _FEWEST_REPLACEMENTS else _MANGLED
    if not _CONTROLS.search(text):  # a text that somebody can read
        return None
    beyond = sum(letter > "\x7f" for letter in text)
    return _MANGLED if text.count("�") >= _FEWEST_REPLACEMENTS or beyond >= _FEWEST_LETTERS else None


_MANGLED = "bytes that were taken for text on their way (UTF-8 in place of the file's own bytes)"


def recognize_text(head: bytes) -> tuple[str, TextFamily] | None:
    """Find out what kind of text bytes are; None if they are no text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text in UTF-16", "text"
    text = _decoded(head)
    if text is None:
        return ("text that is no UTF-8", "text") if _is_single_byte_text(head) else None
    if _CONTROLS.search(text):
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if not start:
        return "nothing but blanks", "text"
    for mark, name, family in _STARTS:
        if start.startswith(mark):
            return name, family
    return _structured(start) or _encoded(text.strip()) or (f"text that begins {_shown(text)}", "text")


def _structured(start: str) -> tuple[str, TextFamily] | None:
    if start.startswith("<?xml") or re.match(r"<[a-z!]", start):
        if "<html" in start:
            return "an HTML page", "page"
        error = "<error" in start[:512]
        return ("an XML error of a storage server", "page") if error else ("XML", "text")
    if start[0] in "{[":
        return "JSON", "text"
    return None


def _encoded(text: str) -> tuple[str, TextFamily] | None:
    if _HEX.fullmatch(text):
        return "hexadecimal digits", "base64"
    if _BASE64.fullmatch("".join(text.splitlines())):
        return "base64", "base64"
    if "\n" not in text and _ADDRESS.fullmatch(text):
        kind = "an address" if "://" in text else "a path"
        return f"{kind} ({_shown(text)})", "address"
    return None


def _decoded(head: bytes) -> str | None:
    """Text of UTF-8 whose last letter may be cut; None of anything else."""
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data" and len(head) - error.start < 4 and error.start > 0
        return head[: error.start].decode("utf-8") if cut else None


def _is_single_byte_text(head: bytes) -> bool:
    """Text of Windows or Latin-1: words, and a few letters beyond ASCII."""
    if re.search(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]", head):
        return False
    return sum(byte > 0x7F for byte in head) * 4 <= len(head)


def _shown(text: str) -> str:
    line = text.strip().splitlines()[0]
    return repr(line if len(line) <= _SHOWN_CHARS else line[:_SHOWN_CHARS] + "…")
