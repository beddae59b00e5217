"""What a run has finished since its last shard: appended batch by batch, and read up to the last whole one.

A batch is in the file when `append` returns, so a process that is killed loses nothing of it. A power cut loses at most
what the system had not written yet, because each batch carries a checksum.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

# Size in bytes and CRC-32 of what follows.
_HEAD = struct.Struct("<QI")


class Journal:
    """A file of batches of rows, open for appending.

    Args:
        path: the file. What follows its last whole batch is cut off.
        schema: of the rows.

    Attributes:
        rows: in the file.
        size_bytes: of the file.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        self.path = path
        self._schema = schema
        self.rows = self.size_bytes = 0
        for table, end in _read(path):
            self.rows += table.num_rows
            self.size_bytes = end
        self._file = path.open("ab", buffering=0)
        self._file.truncate(self.size_bytes)

    def append(self, table: Any) -> None:
        """Append a batch of rows.

        Raises:
            OSError: the disk is full, or the folder is gone; then nothing of the batch counts.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_table(table)
        content = sink.getvalue().to_pybytes()
        batch = _HEAD.pack(len(content), zlib.crc32(content)) + content
        left = memoryview(batch)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:  # what follows a part of a batch cannot be read
            with suppress(OSError):
                self._file.truncate(self.size_bytes)
            raise
        self.rows += table.num_rows
        self.size_bytes += len(batch)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()


def read_journal(path: Path) -> Iterator[Any]:
    """Read the whole batches of a journal, each an Arrow table; a file that is not there has none."""
    for table, _ in _read(path):
        yield table


def _read(path: Path) -> Iterator[tuple[Any, int]]:
    """Read each whole batch, and where it ends in the file."""
    if not path.exists():
        return
    with path.open("rb") as file:
        end = 0
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, checksum = _HEAD.unpack(head)
            content = file.read(min(size, path.stat().st_size))
            if len(content) < size or zlib.crc32(content) != checksum:
                return
            end += _HEAD.size + size
            with pa.ipc.open_stream(content) as reader:
                yield reader.read_all(), end
