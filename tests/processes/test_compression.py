"""Packed files come out whole or not at all, and never take more memory than the limit."""

from __future__ import annotations

import gzip
import random
import tracemalloc

import pytest
import zstandard

from processes.compression import (
    PackedDamagedError,
    PackedTooLargeError,
    PackedTruncatedError,
    Packing,
    PackingError,
    find_packing,
    unpack,
)

DATA = random.Random(0).randbytes(200_000) + bytes(300_000)
LIMIT = 2_000_000


def pack(data: bytes, packing: Packing) -> bytes:
    return gzip.compress(data) if packing == "gzip" else zstandard.ZstdCompressor(write_checksum=True).compress(data)


def stream(data: bytes) -> bytes:
    """zstd that does not say how long it is, as `… | zstd` writes it."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_what_was_packed_comes_out(packing: Packing) -> None:
    packed = pack(DATA, packing)
    assert find_packing(packed) == packing
    assert unpack(packed, packing, max_bytes=len(DATA)) == DATA
    assert unpack(packed + pack(b"more", packing), packing, max_bytes=LIMIT) == DATA + b"more"
    assert unpack(pack(b"", packing) * 3, packing, max_bytes=0) == b""


def test_a_stream_of_unknown_length_comes_out() -> None:
    assert unpack(stream(DATA), "zstd", max_bytes=LIMIT) == DATA
    with pytest.raises(PackedTruncatedError):
        unpack(stream(DATA)[:-3], "zstd", max_bytes=LIMIT)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@pytest.mark.parametrize("kept", [5, 1000, -1])
def test_what_was_cut_off_is_refused(packing: Packing, kept: int) -> None:
    with pytest.raises(PackedTruncatedError, match=f"{packing} data that ends too early"):
        unpack(pack(DATA, packing)[:kept], packing, max_bytes=LIMIT)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_what_was_damaged_or_has_something_behind_it_is_refused(packing: Packing) -> None:
    packed = bytearray(pack(DATA, packing))
    with pytest.raises(PackedDamagedError):
        unpack(bytes(packed) + b"something else", packing, max_bytes=LIMIT)
    packed[len(packed) // 2] ^= 255
    with pytest.raises(PackedDamagedError):
        unpack(bytes(packed), packing, max_bytes=LIMIT)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_bomb_takes_no_more_memory_than_the_limit(packing: Packing) -> None:
    bomb = pack(bytes(200 * 1024**2), packing)
    tracemalloc.start()
    with pytest.raises(PackedTooLargeError, match="more than 1000000 bytes"):
        unpack(bomb, packing, max_bytes=1_000_000)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 8_000_000


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_million_empty_pieces_are_refused(packing: Packing) -> None:
    with pytest.raises(PackingError):
        unpack(pack(b"", packing) * 200_000, packing, max_bytes=LIMIT)


def test_a_window_that_asks_for_gigabytes_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=30)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    with pytest.raises(PackedDamagedError, match="a window over 128 MiB"):
        unpack(packer.compress(DATA) + packer.flush(), "zstd", max_bytes=LIMIT)


def test_other_bytes_are_not_packed() -> None:
    assert [find_packing(data) for data in (b"", b"\x1f", b"PK\x03\x04", b"\xcd\xcc\x4c\x3e")] == [None] * 4
