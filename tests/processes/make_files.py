"""A file of every kind that is sent in place of a pose or a video, small and made by code."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import pickle
import random
import tarfile
import wave
import zipfile
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import zstandard

from processes.file_kinds import Family

NOISE = random.Random(0).randbytes(4000)
POSE = b"\xcd\xcc\x4c\x3e" + NOISE


def _npy(**arrays: npt.NDArray[np.float64]) -> bytes:
    file = io.BytesIO()
    if arrays:
        np.savez(file, **arrays)
    else:
        np.save(file, np.ones(3))
    return file.getvalue()


def _zip(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, NOISE)
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("clip.pose")
        entry.size = len(NOISE)
        archive.addfile(entry, io.BytesIO(NOISE))
    return file.getvalue()


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(800))
    return file.getvalue()


def _picture(kind: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), file)
    return file.getvalue()


def _safetensors() -> bytes:
    from safetensors.numpy import save

    return bytes(save({"weight": np.ones(3, np.float32)}))


# By what it is: the file, its family, and a part of its name.
KINDS: dict[str, tuple[Callable[[], bytes], Family, str]] = {
    "nothing": (lambda: b"", "empty", "an empty file"),
    "zeros": (lambda: bytes(500), "zeros", "nothing but zeros"),
    "a sentence": (lambda: b"no pose at all", "text", "text that begins 'no pose at all'"),
    "a sentence of many letters": (lambda: b"the quick brown fox jumps over the lazy dog " * 9, "text", "the quick"),
    "a word": (lambda: b"house", "text", "'house'"),
    "blanks": (lambda: b" \n\t", "text", "blanks"),
    "Latin-1": (lambda: "Die Tür und der Baum".encode("latin-1"), "text", "no UTF-8"),
    "UTF-16": (lambda: "Tür".encode("utf-16"), "text", "UTF-16"),
    "a table": (lambda: b"path,text\na.pose,A\n", "text", "'path,text'"),
    "JSON": (lambda: json.dumps({"keypoints": [1, 2]}).encode(), "text", "JSON"),
    "a list of bytes": (lambda: json.dumps(list(POSE[:90])).encode(), "text", "JSON"),
    "XML": (lambda: b'<?xml version="1.0"?><ANNOTATION_DOCUMENT/>', "text", "XML"),
    "a storage server's error": (
        lambda: b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "page", "XML error"
    ),
    "a page": (lambda: b"\n<!DOCTYPE html><html><head><title>Sign in</title>", "page", "an HTML page"),
    "a page without a type": (lambda: b"<html><body>404", "page", "an HTML page"),
    "a pointer of Git LFS": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n", "pointer", "Git LFS"
    ),
    "a pointer of git-annex": (lambda: b"/annex/objects/SHA256E-s1--ab.pose\n", "pointer", "git-annex"),
    "an address": (lambda: b"https://example.org/clip.pose", "address", "an address"),
    "a path": (lambda: b"/data/clip.pose\n", "address", "a path"),
    "a path of Windows": (lambda: rb"C:\data\clip.pose", "address", "a path"),
    "a name": (lambda: b"clip.mp4", "address", "a path"),
    "a playlist": (lambda: b"#EXTM3U\n#EXTINF:9,\nx.ts\n", "address", "a playlist"),
    "base64": (lambda: base64.b64encode(POSE), "base64", "base64"),
    "base64 in lines": (lambda: base64.encodebytes(POSE), "base64", "base64"),
    "base64 for addresses": (lambda: base64.urlsafe_b64encode(POSE), "base64", "base64"),
    "a data URL": (lambda: b"data:video/webm;base64," + base64.b64encode(POSE), "base64", "a data URL"),
    "digits": (lambda: POSE.hex().encode(), "base64", "hexadecimal"),
    "a pose": (lambda: POSE, "pose", "a .pose file"),
    "a pose taken for UTF-8": (lambda: POSE.decode("utf-8", "replace").encode(), "mangled", "taken for text"),
    "a pose taken for Latin-1": (lambda: POSE.decode("latin-1").encode(), "mangled", "taken for text"),
    "an MP4 taken for UTF-8": (
        lambda: (b"\0\0\0\x18ftypmp42" + NOISE).decode("utf-8", "replace").encode(), "mangled", "taken for text"
    ),
    "gzip": (lambda: gzip.compress(POSE), "packed", "gzip"),
    "zstd": (lambda: zstandard.ZstdCompressor().compress(POSE), "packed", "zstd"),
    "xz": (lambda: lzma.compress(POSE), "packed", "xz"),
    "bzip2": (lambda: bz2.compress(POSE), "packed", "bzip2"),
    "zip": (lambda: _zip("clip.pose"), "archive", "a ZIP archive"),
    "a document in a zip": (lambda: _zip("word/document.xml"), "document", "Word"),
    "tar": (_tar, "archive", "a TAR archive"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c" + NOISE, "archive", "7-Zip"),
    "npy": (_npy, "array", "a NumPy array"),
    "npz": (lambda: _npy(x=np.ones(3)), "array", "NumPy arrays"),
    "a pickle": (lambda: pickle.dumps({"x": [1.0]}), "array", "a Python pickle"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + NOISE, "array", "HDF5"),
    "parquet": (_parquet, "table", "Parquet"),
    "safetensors": (_safetensors, "weights", "safetensors"),
    "PNG": (lambda: _picture("PNG"), "picture", "a PNG picture"),
    "JPEG": (lambda: _picture("JPEG"), "picture", "a JPEG picture"),
    "WebP": (lambda: _picture("WEBP"), "picture", "a WebP picture"),
    "TIFF": (lambda: _picture("TIFF"), "picture", "a TIFF picture"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic" + NOISE, "picture", "HEIF"),
    "GIF": (lambda: _picture("GIF"), "video", "a GIF"),
    "MP4": (lambda: b"\0\0\0\x18ftypmp42" + NOISE, "video", "an MP4"),
    "WebM": (lambda: b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm" + NOISE, "video", "a WebM video"),
    "AVI": (lambda: b"RIFF\0\0\0\0AVI " + NOISE, "video", "an AVI"),
    "a program stream": (lambda: b"\0\0\x01\xba" + NOISE, "video", "an MPEG program stream"),
    "a transport stream": (lambda: (b"G" + NOISE[:187]) * 9, "video", "an MPEG transport stream"),
    "FLV": (lambda: b"FLV\x01" + NOISE, "video", "FLV"),
    "SWF": (lambda: b"CWS\x08" + NOISE, "video", "SWF"),
    "WMV": (lambda: b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + NOISE, "video", "WMV"),
    "Ogg Theora": (lambda: b"OggS\0\x02" + bytes(20) + b"\x80theora" + NOISE, "video", "an Ogg video"),
    "Ogg Vorbis": (lambda: b"OggS\0\x02" + bytes(20) + b"\x01vorbis" + NOISE, "audio", "an Ogg sound"),
    "the middle of a WebM": (
        lambda: NOISE[:99] + b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff\xe7\x81\0" + NOISE,
        "fragment",
        "a later chunk of a WebM recording",
    ),
    "blocks of a WebM": (
        lambda: NOISE[:99] + (b"\xa3\x40\x64\x81" + NOISE[:99]) * 4, "fragment", "a later chunk of a WebM recording"
    ),
    "a fragment of an MP4": (lambda: b"\0\0\0\x10moof\0\0\0\x08mfhd" + NOISE, "fragment", "a later chunk of an MP4"),
    "the end of an MP4": (lambda: NOISE + b"\0\0\x01\0moov\0\0\0\x6cmvhd" + NOISE, "fragment", "the end of an MP4"),
    "MP3": (lambda: b"\xff\xfb\x90\x64" + NOISE, "audio", "an MP3"),
    "MP3 with a title": (lambda: b"ID3\x04" + NOISE, "audio", "an MP3"),
    "WAV": (_wav, "audio", "a WAV"),
    "FLAC": (lambda: b"fLaC" + NOISE, "audio", "a FLAC"),
    "M4A": (lambda: b"\0\0\0\x18ftypM4A " + NOISE, "audio", "an M4A"),
    "PDF": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "document", "a PDF"),
    "a companion of macOS": (lambda: b"\0\x05\x16\x07\0\x02\0\0Mac OS X" + NOISE, "companion", "macOS"),
    "a program": (lambda: b"\x7fELF\x02\x01\x01" + NOISE, "program", "program"),
    "noise": (lambda: NOISE, "unknown", "no known kind (the first are cd 07 2c d8"),
}  # fmt: skip
