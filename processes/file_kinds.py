"""Recognizes files of the wrong kind by their first bytes, so that a refusal can name them and say what to do next.

The result is for people to read. No file is opened or refused because of it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from processes.text_kinds import recognize_mangled, recognize_text

Family = Literal[
    "empty", "zeros", "text", "page", "base64", "address", "pointer", "mangled", "packed", "archive", "array",
    "weights", "table", "video", "fragment", "audio", "picture", "document", "program", "pose", "companion", "unknown",
]  # fmt: skip

# Suffixes under which videos are looked for in folders and data sets.
VIDEO_SUFFIXES = (
    *(".mp4", ".webm", ".mov", ".mkv", ".avi", ".mpg", ".mpeg", ".m4v", ".gif", ".ts", ".mts", ".m2ts", ".3gp", ".3g2"),
    *(".vob", ".flv", ".wmv", ".asf", ".ogv"),
)

_CLUSTER, _BLOCK = b"\x1f\x43\xb6\x75", b"\xa3"  # of Matroska and WebM (RFC 9559)
# Three blocks in a row begin by chance once in 2^48 places.
_BLOCKS_IN_A_ROW = 3
_HEAD_BYTES = 64 * 1024
_SHOWN_BYTES = 12


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: what bytes look like, with an article: "an HTML page".
        family: what advice depends on.
        advice: what to do next, as a sentence without its point; "" where that depends on what was asked for.
    """

    name: str
    family: Family
    advice: str = ""


_ADVICE: dict[Family, str] = {
    "empty": "Check the path, and that the file is read to its end before it is sent",
    "zeros": "The file was reserved on the disk but never filled, as by a download that broke off: fetch it again",
    "page": "A server answered with a page (a login, a warning, an error) instead of the file: open the address in a "
    "browser and download the file itself",
    "base64": "Decode it first, or send it as a string in JSON",
    "address": "Send what the file holds, not where it is",
    "pointer": "The file itself was not fetched: run `git lfs pull` (or `git annex get`) and take it from there",
    "mangled": "Reading or sending bytes as text destroys them: read the file as bytes (Python: open(path, 'rb'); "
    "JavaScript: arrayBuffer()) and send them unchanged",
    "archive": "Unpack it and take the file that is in it",
    "packed": "Unpack it first",
    "weights": "This is a model's file, not a clip",
    "program": "This is a program, not a clip",
    "companion": "macOS writes such a file beside the real one, whose name lacks the '._': take that one",
    "unknown": "Check that it is the right file, and that it was not encrypted or cut on its way",
}

_WEBM_CHUNK: tuple[str, Family] = ("a later chunk of a WebM recording, without its head", "fragment")
# Bytes at the start of a file, what they are of, and its family. Longer ones come before their own beginnings.
_STARTS: tuple[tuple[bytes, str, Family], ...] = (
    (b"\x1f\x8b", "gzip data", "packed"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "packed"),
    (b"\xfd7zXZ\0", "xz data", "packed"),
    (b"BZh", "bzip2 data", "packed"),
    (b"\x04\x22\x4d\x18", "lz4 data", "packed"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "archive"),
    (b"Rar!\x1a\x07", "a RAR archive", "archive"),
    (b"PK\x05\x06", "an empty ZIP archive", "archive"),
    (b"\x93NUMPY", "a NumPy array (.npy)", "array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "array"),
    (b"MATLAB ", "a MATLAB file", "array"),
    (b"PAR1", "a Parquet table", "table"),
    (b"ARROW1", "an Arrow table", "table"),
    (b"SQLite format 3\0", "an SQLite database", "table"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", "picture"),
    (b"\xff\xd8\xff", "a JPEG picture", "picture"),
    (b"II*\0", "a TIFF picture", "picture"),
    (b"MM\0*", "a TIFF picture", "picture"),
    (b"8BPS", "a Photoshop picture", "picture"),
    (b"\0\0\x01\0", "an icon", "picture"),
    (b"GIF87a", "a GIF", "video"),
    (b"GIF89a", "a GIF", "video"),
    (_CLUSTER, *_WEBM_CHUNK),
    (b"FLV\x01", "a Flash video (FLV)", "video"),
    (b"FWS", "a Flash film (SWF)", "video"),
    (b"CWS", "a Flash film (SWF)", "video"),
    (b"ZWS", "a Flash film (SWF)", "video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media video (WMV, ASF)", "video"),
    (b"\0\0\x01\xba", "an MPEG program stream", "video"),
    (b"\0\0\x01\xb3", "a bare MPEG picture stream", "video"),
    (b".RMF", "a RealMedia video", "video"),
    (b"ID3", "an MP3 sound", "audio"),
    (b"fLaC", "a FLAC sound", "audio"),
    (b"#!AMR", "an AMR sound", "audio"),
    (b"MThd", "a MIDI file", "audio"),
    (b"caff", "a CAF sound", "audio"),
    (b"%PDF", "a PDF document", "document"),
    (b"%!PS", "a PostScript document", "document"),
    (b"{\\rtf", "an RTF document", "document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", "document"),
    (b"\x7fELF", "a Linux program", "program"),
    (b"MZ", "a Windows program", "program"),
    (b"\0\x05\x16\x07", "a macOS companion file (._ before its name)", "companion"),
    (b"\0\x05\x16\0", "a macOS companion file (._ before its name)", "companion"),
    (b"bplist00", "a macOS property list", "document"),
    (b"\xcd\xcc\x4c\x3e", "a .pose file", "pose"),
    (b"\xcd\xcc\xcc\x3d", "a .pose file", "pose"),
)
# The same with bytes from the eighth on, of files that start with "RIFF" or "FORM" and their size.
_CHUNKED: dict[bytes, tuple[str, Family]] = {
    b"AVI ": ("an AVI video", "video"),
    b"WAVE": ("a WAV sound", "audio"),
    b"WEBP": ("a WebP picture", "picture"),
    b"AIFF": ("an AIFF sound", "audio"),
}
# What stands in the first entries of a ZIP archive, and what it then is.
_ZIPPED: tuple[tuple[bytes, str, Family], ...] = (
    (b".npy", "NumPy arrays (.npz)", "array"),
    (b"word/", "a Word document", "document"),
    (b"xl/", "an Excel table", "document"),
    (b"ppt/", "a PowerPoint document", "document"),
    (b"data.pkl", "a PyTorch file", "weights"),
)


def recognize(data: bytes) -> FileKind:
    """Find out what bytes look like, whatever they are.

    Args:
        data: the whole file.
    """
    head = data[:_HEAD_BYTES]
    family: Family
    if not data:
        name, family = "an empty file (0 bytes)", "empty"
    elif not head.strip(b"\0"):
        name, family = "a file that begins with nothing but zeros", "zeros"
    elif (mangled := recognize_mangled(head)) is not None:
        name, family = mangled, "mangled"
    else:
        found = _by_magic(data, head) or recognize_text(head) or _by_content(data, head)
        name, family = found or (f"bytes of no known kind (the first are {_shown(head)})", "unknown")
    return FileKind(name, family, _ADVICE.get(family, ""))


def _by_magic(data: bytes, head: bytes) -> tuple[str, Family] | None:
    for magic, name, family in _STARTS:
        if head.startswith(magic):
            return name, family
    if head[:4] in (b"RIFF", b"FORM") and head[8:12] in _CHUNKED:
        return _CHUNKED[head[8:12]]
    if head.startswith(b"PK\x03\x04"):
        return next(((name, family) for mark, name, family in _ZIPPED if mark in head), ("a ZIP archive", "archive"))
    if head.startswith(b"OggS"):
        video = any(codec in head[:512] for codec in (b"theora", b"OVP80", b"BBCD"))
        return ("an Ogg video", "video") if video else ("an Ogg sound", "audio")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return ("a WebM video" if b"webm" in head[:64] else "a Matroska video"), "video"
    return _isobmff(head) or _mpeg(head) or _weights(data, head)


def _isobmff(head: bytes) -> tuple[str, Family] | None:
    """MP4, QuickTime and their relatives: boxes of a size and a name."""
    box, brand = head[4:8], head[8:12]
    if box == b"ftyp":
        if brand in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"):
            return "a HEIF or AVIF picture", "picture"
        return ("an M4A sound", "audio") if brand in (b"M4A ", b"M4B ") else ("an MP4 or QuickTime video", "video")
    if box in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "a QuickTime video", "video"
    if box in (b"moof", b"styp", b"sidx", b"emsg"):
        return "a later chunk of an MP4 recording, without its head", "fragment"
    return None


def _mpeg(head: bytes) -> tuple[str, Family] | None:
    if len(head) > 2 * 192 and any(head[start] == head[start + step] == 0x47 for start, step in ((0, 188), (4, 192))):
        return "an MPEG transport stream", "video"
    if head[:2] in (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9"):
        return "an AAC sound", "audio"
    if head[:1] == b"\xff" and head[1:2] and head[1] in b"\xe2\xe3\xf2\xf3\xfa\xfb\xfc\xfd":
        return "an MP3 sound", "audio"
    return None


def _weights(data: bytes, head: bytes) -> tuple[str, Family] | None:
    if head[8:10] == b'{"' and struct.unpack("<Q", head[:8])[0] <= len(data):
        return "a safetensors file", "weights"
    if head[:1] == b"\x80" and len(head) > 2 and head[1] in b"\x02\x03\x04\x05":
        return "a Python pickle", "array"
    return ("a TAR archive", "archive") if head[257:262] == b"ustar" else None


def _by_content(data: bytes, head: bytes) -> tuple[str, Family] | None:
    """What starts in the middle of something else."""
    if any(_is_cluster(head, at) for at in _places(head, _CLUSTER)) or any(
        _follow_blocks(data, at) for at in _places(head, _BLOCK)
    ):
        return _WEBM_CHUNK
    if b"moof" in data and b"mfhd" in data:
        return "a later chunk of an MP4 recording, without its head", "fragment"
    if b"moov" in data and b"mvhd" in data:
        return "the end of an MP4 or QuickTime video, without its beginning", "fragment"
    return None


def _is_cluster(head: bytes, at: int) -> bool:
    return b"\xe7" in head[at + 4 : at + 14]  # the cluster's time code


def _follow_blocks(data: bytes, at: int) -> bool:
    """Whether blocks of one track of WebM follow each other from here on."""
    for _ in range(_BLOCKS_IN_A_ROW):
        first = data[at + 1] if at + 1 < len(data) else 0
        size_bytes = 9 - first.bit_length()  # of EBML's numbers: the place of the first bit that is set
        if not data.startswith(_BLOCK, at) or size_bytes > 4:
            return False
        start = at + 1 + size_bytes
        if data[start : start + 1] not in (b"\x81", b"\x82"):  # of the first or the second track
            return False
        size = int.from_bytes(data[at + 1 : start], "big") - (1 << 7 * size_bytes)
        at = start + size
    return True


def _places(data: bytes, mark: bytes) -> list[int]:
    found = []
    at = data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def _shown(head: bytes) -> str:
    return head[:_SHOWN_BYTES].hex(" ")
