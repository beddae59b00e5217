"""Files that were packed with gzip or zstd, unpacked within a limit.

PackingError
├── PackedDamagedError   the packed bytes are damaged
│   └── PackedTruncatedError  they end too early
└── PackedTooLargeError  they unpack to more than the limit
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from typing import Literal

import zstandard

Packing = Literal["gzip", "zstd"]

_MAGIC: dict[bytes, Packing] = {b"\x1f\x8b\x08": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# What the zstd program itself unpacks without being asked for more (its ZSTD_WINDOWLOG_LIMIT_DEFAULT, 27 bits).
_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
# bgzip and pigz write a member for each 64 to 128 KiB. More members than this hold next to nothing each.
_MOST_GZIP_MEMBERS = 65_536
# pzstd writes a frame for each few MiB.
_MOST_ZSTD_FRAMES = 4096
_FIRST_PIECE_BYTES, _PIECE_BYTES = 1024, 64 * 1024
_UNPACKED_PIECE_BYTES = 4 * 1024 * 1024


class PackingError(Exception):
    """Packed bytes that cannot be unpacked."""


class PackedDamagedError(PackingError):
    """The packed bytes are damaged."""


class PackedTruncatedError(PackedDamagedError):
    """The packed bytes end too early."""


class PackedTooLargeError(PackingError):
    """The packed bytes hold more than the limit."""


def find_packing(data: bytes) -> Packing | None:
    """Find out by which program bytes were packed; None if they do not start as packed ones do."""
    return next((packing for magic, packing in _MAGIC.items() if data.startswith(magic)), None)


def unpack(
    data: bytes,
    packing: Packing,
    *,
    max_bytes: int,
    max_window_bytes: int = _ZSTD_WINDOW_BYTES,
    on_piece: Callable[[int], None] = lambda _: None,
) -> bytes:
    """Unpack a whole file; several packed files in a row unpack to their contents in a row.

    Args:
        data: the packed file.
        packing: as `find_packing` gives it.
        max_bytes: of what comes out. No more than that and one piece is ever held.
        max_window_bytes: how far back zstd data may refer, which is memory of the unpacker.
        on_piece: called with the size of each piece that came out, some MiB at most; it may raise to end the work.
    Raises:
        PackedDamagedError: the file is damaged, or has something else behind its end.
        PackedTruncatedError: the file ends too early.
        PackedTooLargeError: more than max_bytes would come out.
    """
    pieces = _gunzip(data, max_bytes) if packing == "gzip" else _unpack_zstd(data, max_bytes, max_window_bytes)
    unpacked = io.BytesIO()
    for piece in pieces:
        on_piece(len(piece))
        unpacked.write(piece)
        if unpacked.tell() > max_bytes:
            raise PackedTooLargeError(f"{packing} data that unpacks to more than {max_bytes} bytes")
    return unpacked.getvalue()


def _gunzip(data: bytes, max_bytes: int) -> Iterator[bytes]:
    most = min(max_bytes + 1, _UNPACKED_PIECE_BYTES)
    source = io.BytesIO(data)
    for _ in range(_MOST_GZIP_MEMBERS):
        # In pieces, because what follows a member's end is copied each time. They grow, because most files are one
        # large member, and others have thousands of tiny ones.
        member, piece_bytes = zlib.decompressobj(wbits=31), _FIRST_PIECE_BYTES
        try:
            while not member.eof:
                piece = member.unconsumed_tail or source.read(piece_bytes)
                if not piece:
                    raise PackedTruncatedError("gzip data that ends too early")
                yield member.decompress(piece, most)
                piece_bytes = min(2 * piece_bytes, _PIECE_BYTES)
        except zlib.error as error:
            raise PackedDamagedError("gzip data that is damaged") from error
        source.seek(-len(member.unused_data), io.SEEK_CUR)
        if source.tell() == len(data):
            return
    raise PackedDamagedError(f"gzip data of more than {_MOST_GZIP_MEMBERS} pieces")


def _unpack_zstd(data: bytes, max_bytes: int, max_window_bytes: int) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=max_window_bytes)
    try:
        # This reader bounds what comes out, and is silent about an early end.
        reader = unpacker.stream_reader(data, read_across_frames=True)
        while piece := reader.read(min(max_bytes + 1, _UNPACKED_PIECE_BYTES)):
            yield piece
        _check_zstd_end(data, unpacker)
    except zstandard.ZstdError as error:
        window_mib = max_window_bytes // 1024**2
        raise PackedDamagedError(f"zstd data that is damaged, or has a window over {window_mib} MiB") from error


def _check_zstd_end(data: bytes, unpacker: zstandard.ZstdDecompressor) -> None:
    """Unpack data whose size is known to be bearable once more, frame by frame, to see where each ends."""
    rest = memoryview(data)
    for _ in range(_MOST_ZSTD_FRAMES):
        frame = unpacker.decompressobj()
        used = 0
        while not frame.eof:
            piece = rest[used : used + _PIECE_BYTES]
            if not piece:
                raise PackedTruncatedError("zstd data that ends too early")
            frame.decompress(piece)
            used += len(piece)
        rest = rest[used - len(frame.unused_data) :]
        if not rest:
            return
    raise PackedDamagedError(f"zstd data of more than {_MOST_ZSTD_FRAMES} frames")
