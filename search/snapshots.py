"""Collections as files that all processes map into memory: a search then costs little more than a product of matrices.

A snapshot holds one version of a collection without its poses. It is made when it is first needed, and again when the
collection has changed; processes of one machine share its pages.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from processes.files import hold_lock, replace_file
from search.conditions import compute_mask
from search.filters import Filter
from search.index import Block, Rows
from search.rows import read_vectors

# Rows in one batch: large enough that a product of matrices counts, not the calls; 32,768 × 768 numbers are 100 MB.
_BATCH_ROWS = 32_768
# While a collection changes again and again, making its snapshot may take this share of a process' time.
_BUILD_SHARE = 0.2
# Collections whose snapshots a process keeps open. An open snapshot is only address space.
_MOST_OPEN = 64


class Snapshot:
    """One version of a collection, mapped into memory.

    Attributes:
        batches: Arrow record batches with the light columns.
    """

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            self.batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
        self._vectors = [read_vectors(batch) for batch in self.batches]

    def list_blocks(self, filter: Filter) -> list[Block]:
        """List the vectors of each batch, with the rows that a filter keeps."""
        masks = [None if filter.is_empty else compute_mask(batch, filter) for batch in self.batches]
        return [
            Block(vectors, _make_reader(batch.column("id")), mask)
            for vectors, batch, mask in zip(self._vectors, self.batches, masks, strict=True)
        ]


@dataclass
class _State:
    """What a process knows about the snapshots of one collection."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    version: int = -1
    snapshot: Snapshot | None = None
    build_s: float = 0.0
    built_at: float = 0.0


class Snapshots:
    """The snapshots of all collections of a store.

    Args:
        folder: where the files lie; it is made when the first snapshot is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._states: OrderedDict[str, _State] = OrderedDict()

    def is_cheap(self, key: str, version: int) -> bool:
        """Whether the snapshot of this version is there, or its making costs little beside the time between changes."""
        state = self._find_state(key)
        if state.snapshot is None or state.version == version:
            return True
        return (time.monotonic() - state.built_at) * _BUILD_SHARE >= state.build_s

    def find(self, key: str, version: int, read: Callable[[], Iterable[Any]]) -> Snapshot:
        """Find the snapshot of a version of a collection, and make it if need be.

        Args:
            key: of the collection; another collection never has it, even under the same name.
            read: reads the light columns of this version as record batches.
        Raises:
            OSError: the snapshot cannot be written or read.
        """
        state = self._find_state(key)
        with state.lock:
            if state.snapshot is None or state.version != version:
                started = time.monotonic()
                state.snapshot = self._open(key, version, read)
                state.version, state.built_at = version, time.monotonic()
                state.build_s = state.built_at - started
            return state.snapshot

    def forget(self, key: str) -> None:
        """Remove the snapshots of a collection that was deleted."""
        with self._lock:
            self._states.pop(key, None)
        self._remove_files(key, but=None)
        with suppress(OSError):
            (self._folder / f"{key}.lock").unlink()

    def _find_state(self, key: str) -> _State:
        with self._lock:
            state = self._states.setdefault(key, _State())
            self._states.move_to_end(key)
            while len(self._states) > _MOST_OPEN:
                self._states.popitem(last=False)
            return state

    def _open(self, key: str, version: int, read: Callable[[], Iterable[Any]]) -> Snapshot:
        path = self._folder / f"{key}-{version}.arrow"
        self._folder.mkdir(parents=True, exist_ok=True)
        # Other workers want the same file at the same time; they find it once the lock is theirs.
        with hold_lock(self._folder / f"{key}.lock"):
            if not path.exists():
                _write(path, read())
                # Who has an older file open keeps it.
                self._remove_files(key, but=path)
            return Snapshot(path)

    def _remove_files(self, key: str, *, but: Path | None) -> None:
        for path in self._folder.glob(f"{key}-*.arrow"):
            if path != but:
                with suppress(OSError):
                    path.unlink()


def _write(path: Path, batches: Iterable[Any]) -> None:
    with replace_file(path) as part:
        writer = None
        for table in _gather(batches):
            if writer is None:
                writer = pa.ipc.new_file(str(part), table.schema)
            writer.write_table(table, max_chunksize=_BATCH_ROWS)
        if writer is None:
            writer = pa.ipc.new_file(str(part), pa.schema([]))
        writer.close()


def _gather(batches: Iterable[Any]) -> Iterator[Any]:
    """Gather small batches into tables of many rows."""
    waiting: list[Any] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= _BATCH_ROWS:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _make_reader(column: Any) -> Callable[[Rows], list[str]]:
    return lambda rows: column.take(pa.array(np.asarray(rows))).to_pylist()
