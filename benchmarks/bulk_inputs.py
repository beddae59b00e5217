"""What bulk runs are measured on: the lexicon's clips with small changes, some videos, and a few that are broken."""

import csv
import itertools
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import zstandard

from corpora.readers.fingerspelling_lexicon import find_installed_folder

ROOT = Path(__file__).resolve().parent.parent
_VIDEO = ROOT / "samples" / "house.mp4"
# One row in a hundred is broken, as in the field, and one in four hundred is a video.
_BROKEN_EVERY, _VIDEO_EVERY = 100, 400
_FLOAT_BYTES = 4
COLUMNS = ("id", "path", "text", "sign_language", "signer")

_BREAKS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("empty", lambda data: data[:0]),
    ("text", lambda data: b"<html>404</html>" + data[:0]),
    ("cut_short", lambda data: data[:-1000]),
    ("trailing", lambda data: data + b"\0" * 8),
    ("no_header", lambda data: data[:100]),
    ("version", lambda data: b"\x00\x00\x80\x3f" + data[4:]),
    ("zeros", lambda data: bytes(len(data))),
    ("damaged_zstd", lambda data: zstandard.compress(data)[:-50]),
    ("shuffled", lambda data: data[::-1]),
    ("no_clip", lambda data: b"\x89PNG\r\n\x1a\n" + data),
)
"""Ten ways in which files of clips are broken, by name."""


def write_clips(folder: Path, count: int, *, videos: bool = True) -> Path:
    """Write clips and a manifest of them.

    Args:
        count: rows of the manifest.
        videos: whether one row in 400 is a video.
    Returns:
        Path of the manifest.
    """
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    sources = itertools.cycle(sorted(find_installed_folder().rglob("*.pose")))
    ways = itertools.cycle(_BREAKS)
    rows = []
    for number, source in zip(range(count), sources, strict=False):
        name, text = f"{number:06}", source.stem
        if number % _BROKEN_EVERY == _BROKEN_EVERY - 1:
            way, damage = next(ways)
            path, content = f"clips/{name}-{way}.pose", damage(source.read_bytes())
            (folder / path).write_bytes(content)
        elif videos and number % _VIDEO_EVERY == 1:
            path = f"clips/{name}.mp4"
            shutil.copy(_VIDEO, folder / path)
        else:
            path = f"clips/{name}.pose"
            (folder / path).write_bytes(_change(source.read_bytes(), number))
        rows.append((name, path, text, "ase", f"signer{number % 7}"))
    return _write_manifest(folder / "clips.csv", COLUMNS, iter(rows))


def write_texts(path: Path, count: int) -> Path:
    """Write a manifest of texts, each another one."""
    words = ("house", "sun", "police", "how", "are", "you", "green", "walk")
    rows = (
        (f"t{number}", f"{words[number % 8]} {words[zlib.crc32(b'%d' % number) % 8]} {number}", "ase", "en")
        for number in range(count)
    )
    return _write_manifest(path, ("id", "text", "sign_language", "spoken_language"), rows)


def _change(data: bytes, seed: int) -> bytes:
    """Move the last frames' points by some hundredths of a pixel, which gives another clip of the same form."""
    changed = bytearray(data)
    # A file ends with the numbers of its last frame, so from its end every fourth byte begins a number.
    start = len(data) // 2
    start -= (start - len(data)) % _FLOAT_BYTES
    values = np.frombuffer(changed, dtype=np.uint8, offset=start, count=_FLOAT_BYTES * 1000)
    values[::_FLOAT_BYTES] ^= np.random.default_rng(seed).integers(0, 16, 1000, dtype=np.uint8)  # the last bits alone
    return bytes(changed)


def _write_manifest(path: Path, columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return path
