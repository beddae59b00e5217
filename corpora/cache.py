"""A cache of features on disk, so that every clip is parsed only once.

A folder holds `index.sqlite`, which records where each clip's features are, and a few large `shard-N.f32` files that
contain only float32 numbers. SQLite's write lock separates the writers of several processes. A writer reserves space
in a shard, fills it and records it inside one transaction. If the writer dies, its bytes are not recorded, and the
next writer overwrites them. Readers map the shards into memory and never lock.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.arrays import Float32Array
from corpora.errors import CacheError
from corpora.examples import Example
from corpora.feature_kinds import get_feature_version
from poses import FeatureOptions
from processes.os_errors import describe_reason

# Format of the folder. It is raised when stored data change their meaning, and older folders are then refused.
_FORMAT = 1
# A shard of this size gets no more clips. 450,000 clips of Spreadthesign with 609 features need about 60 shards.
_SHARD_BYTES = 2 * 1024**3
_FLOAT_BYTES = 4
# How long a writer waits for another writer, which holds the lock while it writes one batch of 64 MB.
_BUSY_S = 120.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS clips (
    key BLOB PRIMARY KEY, shard INTEGER NOT NULL, offset INTEGER NOT NULL, frames INTEGER NOT NULL, dim INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unreadable (key BLOB PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (shard INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip's features are: the shard, their first byte in it, and their shape."""

    shard: int
    offset: int
    frames: int
    dim: int

    @property
    def end(self) -> int:
        """The first byte after the features."""
        return self.offset + self.frames * self.dim * _FLOAT_BYTES


@dataclass
class FeatureCache:
    """The features of any number of data sets, kinds and options, in one folder.

    Attributes:
        folder: created if it does not exist.
        shard_bytes: size at which the next shard is started.
    Raises:
        CacheError: the folder cannot be created, or holds a cache of another format.
    """

    folder: Path
    shard_bytes: int = _SHARD_BYTES
    _maps: dict[int, npt.NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as index:
                (version,) = index.execute("PRAGMA user_version").fetchone()
                if version not in (0, _FORMAT):
                    raise CacheError(f"{self.folder} is a cache of format {version}, not {_FORMAT}; delete the folder")
                if version == 0:  # An existing cache may be on a disk that can only be read.
                    index.executescript(f"{_SCHEMA} PRAGMA user_version = {_FORMAT};")
        except (OSError, sqlite3.Error) as error:
            raise CacheError(f"{self.folder} cannot be used as a cache: {describe_reason(error)}") from error

    def __getstate__(self) -> dict[str, object]:
        # Each worker of a loader maps the shards itself.
        return {"folder": self.folder, "shard_bytes": self.shard_bytes, "_maps": {}}

    def make_key(self, corpus: str, example: Example, kind: str, options: FeatureOptions) -> bytes | None:
        """Hash all that a clip's features depend on.

        The file is identified by its name, size and time of change. A folder may therefore be moved, but a changed
        file is noticed.

        Returns:
            16 bytes; None if the clip's file does not exist.
        """
        try:
            file = os.stat(example.path)
        except OSError:
            return None
        parts = (
            *(corpus, example.id, example.path.name, file.st_size, file.st_mtime_ns, example.start_s, example.end_s),
            *(kind, get_feature_version(kind), options.flip, options.anonymize, options.person),
            # Whole clips keep the keys that they had before there was a choice.
            *((options.trim,) if options.trim != "none" else ()),
        )
        return blake2b(repr(parts).encode(), digest_size=16).digest()

    def look_up(self, keys: Sequence[bytes]) -> tuple[dict[bytes, Place], dict[bytes, str]]:
        """Look up which clips are cached.

        Args:
            keys: of make_key.
        Returns:
            The places of clips with features, and the reasons of clips that are known to be unreadable.
        Raises:
            CacheError: the index is damaged.
        """
        wanted = set(keys)
        places: dict[bytes, Place] = {}
        reasons: dict[bytes, str] = {}
        sizes: dict[int, int] = {}
        try:
            with closing(self._connect()) as index:
                # One pass over the index is faster than 500,000 queries.
                for key, *numbers in index.execute("SELECT key, shard, offset, frames, dim FROM clips"):
                    if key not in wanted:
                        continue
                    place = Place(*numbers)
                    if place.shard not in sizes:
                        sizes[place.shard] = self._size(place.shard)
                    if place.end <= sizes[place.shard]:  # The clips of a deleted shard are parsed again.
                        places[key] = place
                reasons = {key: reason for key, reason in index.execute("SELECT * FROM unreadable") if key in wanted}
        except sqlite3.Error as error:
            raise CacheError(f"{self.folder}: the index is damaged: {error}; delete the folder") from error
        return places, reasons

    def add(self, clips: Iterable[tuple[bytes, Float32Array]], unreadable: Iterable[tuple[bytes, str]] = ()) -> None:
        """Write a batch of clips, except those that another process has written in the meantime.

        Args:
            clips: keys, and features as float32 (frames, dim).
            unreadable: keys of clips that cannot be read, and the reasons.
        Raises:
            CacheError: the disk is full, or another process holds the lock for more than two minutes.
        """
        try:
            with closing(self._connect()) as index:
                index.execute("BEGIN IMMEDIATE")
                try:
                    self._append([clip for clip in clips if not self._has(clip[0], index)], index)
                    index.executemany("INSERT OR REPLACE INTO unreadable VALUES (?, ?)", list(unreadable))
                except BaseException:
                    index.execute("ROLLBACK")
                    raise
                index.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise CacheError(f"{self.folder} cannot be written: {describe_reason(error)}") from error

    def _has(self, key: bytes, index: sqlite3.Connection) -> bool:
        row = index.execute("SELECT shard, offset, frames, dim FROM clips WHERE key = ?", (key,)).fetchone()
        return row is not None and Place(*row).end <= self._size(row[0])

    def _append(self, clips: list[tuple[bytes, Float32Array]], index: sqlite3.Connection) -> None:
        """Write clips after the recorded end of the last shard, or into a new shard."""
        shard, end = index.execute("SELECT shard, bytes FROM shards ORDER BY shard DESC LIMIT 1").fetchone() or (0, 0)
        # A deleted shard must not be created again with a hole in it, because old places would then read zeros.
        if end >= self.shard_bytes or self._size(shard) < end:
            shard, end = shard + 1, 0
        with os.fdopen(os.open(self._shard(shard), os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            file.seek(end)
            for key, features in clips:
                contiguous = np.ascontiguousarray(features, dtype="<f4")
                frames, dim = contiguous.shape
                place = Place(shard, end, frames, dim)
                file.write(contiguous.data)
                index.execute("INSERT OR REPLACE INTO clips VALUES (?, ?, ?, ?, ?)", (key, shard, end, frames, dim))
                end = place.end
            file.flush()
            os.fsync(file.fileno())  # The index must never refer to bytes that a power failure can lose.
        index.execute("INSERT OR REPLACE INTO shards VALUES (?, ?)", (shard, end))

    def read(self, place: Place) -> Float32Array:
        """Read a clip's features by mapping the shard into memory; nothing is copied.

        Returns:
            float32 (frames, dim), read-only.
        Raises:
            CacheError: the shard was deleted or truncated after the place was looked up.
        """
        mapped = self._maps.get(place.shard)
        if mapped is None or len(mapped) < place.end:
            try:
                mapped = np.memmap(self._shard(place.shard), dtype=np.uint8, mode="r")
            except (OSError, ValueError) as error:
                raise CacheError(f"{self._shard(place.shard)} cannot be mapped: {error}") from error
            # A plain view, because slicing a memmap object takes ten times as long.
            mapped = self._maps[place.shard] = np.asarray(mapped)
            if len(mapped) < place.end:
                raise CacheError(f"{self._shard(place.shard)} ends before byte {place.end}; delete {self.folder}")
        return mapped[place.offset : place.end].view(np.float32).reshape(place.frames, place.dim)

    def _shard(self, shard: int) -> Path:
        return self.folder / f"shard-{shard:05}.f32"

    def _size(self, shard: int) -> int:
        try:
            return self._shard(shard).stat().st_size
        except FileNotFoundError:
            return 0

    def _connect(self) -> sqlite3.Connection:
        # `add` writes its transactions out, because those of the sqlite3 module begin without the write lock.
        return sqlite3.connect(self.folder / "index.sqlite", timeout=_BUSY_S, isolation_level=None)
