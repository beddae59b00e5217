"""Features kept on disk, so that every clip is parsed once.

A folder holds `index.sqlite`, which says where each clip's features are, and a few large `shard-N.f32` files with
nothing but float32 numbers. SQLite's write lock is what keeps writers of several processes from each other: space in a
shard is taken, filled and recorded inside one transaction, so a writer that dies leaves unrecorded bytes, which the
next one overwrites. Readers map the shards and never lock.
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

from corpora.errors import CacheError
from corpora.examples import Example
from corpora.feature_kinds import feature_version
from poses import FeatureOptions

Features = npt.NDArray[np.float32]

_FORMAT = 1
"""Of the folder. Raised when what is stored changes its meaning; older folders are then refused."""
_SHARD_BYTES = 2 * 1024**3
"""A file of this size is closed: 450,000 clips of Spreadthesign at 609 features make some 60 files."""
_FLOAT_BYTES = 4
_BUSY_S = 120.0
"""How long a writer waits for another, which holds the lock while it writes one batch."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS clips (
    key BLOB PRIMARY KEY, shard INTEGER NOT NULL, offset INTEGER NOT NULL, frames INTEGER NOT NULL, dim INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unreadable (key BLOB PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (shard INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip's features are: a shard, the byte they start at, and their shape."""

    shard: int
    offset: int
    frames: int
    dim: int

    @property
    def end(self) -> int:
        return self.offset + self.frames * self.dim * _FLOAT_BYTES


@dataclass
class FeatureCache:
    """The features of any number of data sets, kinds and options in one folder.

    Attributes:
        folder: made if it is not there.
        shard_bytes: size at which the next file is begun.
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
                    raise CacheError(f"{self.folder} is a cache of format {version}, not {_FORMAT}; delete it")
                if version == 0:  # an existing cache may be read where it cannot be written
                    index.executescript(f"{_SCHEMA} PRAGMA user_version = {_FORMAT};")
        except (OSError, sqlite3.Error) as error:
            raise CacheError(f"{self.folder} cannot be used as a cache: {error}") from error

    def __getstate__(self) -> dict[str, object]:
        # A loader's worker maps the shards itself.
        return {"folder": self.folder, "shard_bytes": self.shard_bytes, "_maps": {}}

    def key(self, corpus: str, example: Example, kind: str, options: FeatureOptions) -> bytes | None:
        """What a clip's features depend on, in 16 bytes; None where its file is not there.

        The file counts by its name, size and time of change, so a folder may move but not change unnoticed.
        """
        try:
            file = os.stat(example.path)
        except OSError:
            return None
        parts = (
            *(corpus, example.id, example.path.name, file.st_size, file.st_mtime_ns, example.start_s, example.end_s),
            *(kind, feature_version(kind), options.flip, options.anonymize, options.person),
        )
        return blake2b(repr(parts).encode(), digest_size=16).digest()

    def look_up(self, keys: Sequence[bytes]) -> tuple[dict[bytes, Place], dict[bytes, str]]:
        """Find what is known of clips.

        Returns:
            The places of those with features, and the reasons of those that are known to be unreadable.
        Raises:
            CacheError: the index is damaged.
        """
        wanted = set(keys)
        places: dict[bytes, Place] = {}
        reasons: dict[bytes, str] = {}
        sizes: dict[int, int] = {}
        try:
            with closing(self._connect()) as index:
                # One pass over the index costs less than 500,000 questions.
                for key, *numbers in index.execute("SELECT key, shard, offset, frames, dim FROM clips"):
                    if key not in wanted:
                        continue
                    place = Place(*numbers)
                    if place.shard not in sizes:
                        sizes[place.shard] = self._size(place.shard)
                    if place.end <= sizes[place.shard]:  # clips of a deleted shard are parsed again
                        places[key] = place
                reasons = {key: reason for key, reason in index.execute("SELECT * FROM unreadable") if key in wanted}
        except sqlite3.Error as error:
            raise CacheError(f"{self.folder}: the index is damaged: {error}; delete the folder") from error
        return places, reasons

    def add(self, clips: Iterable[tuple[bytes, Features]], unreadable: Iterable[tuple[bytes, str]] = ()) -> None:
        """Write a batch of clips, but for those that another writer has written meanwhile.

        Args:
            clips: keys and float32 (frames, dim).
            unreadable: keys and reasons.
        Raises:
            CacheError: the disk is full, or another writer does not let go.
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
            raise CacheError(f"{self.folder} cannot be written: {error}") from error

    def _has(self, key: bytes, index: sqlite3.Connection) -> bool:
        row = index.execute("SELECT shard, offset, frames, dim FROM clips WHERE key = ?", (key,)).fetchone()
        return row is not None and Place(*row).end <= self._size(row[0])

    def _append(self, clips: list[tuple[bytes, Features]], index: sqlite3.Connection) -> None:
        """Write clips behind what is recorded of the last shard, or into a new one."""
        shard, end = index.execute("SELECT shard, bytes FROM shards ORDER BY shard DESC LIMIT 1").fetchone() or (0, 0)
        # A shard that was deleted must not come back with a hole in it, where old places would read zeros.
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
            os.fsync(file.fileno())  # the index must never name bytes that a power cut can take away
        index.execute("INSERT OR REPLACE INTO shards VALUES (?, ?)", (shard, end))

    def read(self, place: Place) -> Features:
        """A clip's features, mapped, not copied.

        Returns:
            float32 (frames, dim), read-only.
        Raises:
            CacheError: the shard was deleted or cut short since the place was looked up.
        """
        mapped = self._maps.get(place.shard)
        if mapped is None or len(mapped) < place.end:
            try:
                mapped = np.memmap(self._shard(place.shard), dtype=np.uint8, mode="r")
            except (OSError, ValueError) as error:
                raise CacheError(f"{self._shard(place.shard)} cannot be mapped: {error}") from error
            # A plain view: slicing a memmap object costs ten times as much.
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
        # Transactions are written out in `add`; the module's own would begin without the write lock.
        return sqlite3.connect(self.folder / "index.sqlite", timeout=_BUSY_S, isolation_level=None)
