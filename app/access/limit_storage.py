"""Counts of rate limits that all workers of a service share, exactly: SQLite in shared memory."""

import os
import sqlite3
import threading
import time
from contextlib import closing

from limits.storage import MovingWindowSupport, Storage

# A window is counted in this many parts. One part more than the window counts, so that no window of any start has more
# than the limit.
_PARTS = 60
_TABLE = """
CREATE TABLE IF NOT EXISTS hits (key TEXT, part INTEGER, amount INTEGER, expires REAL, PRIMARY KEY (key, part))
WITHOUT ROWID
"""
# Rows of windows that are over are removed with one of so many additions.
_SWEEP_EVERY = 1000


class SharedMemoryStorage(Storage, MovingWindowSupport):
    """A storage of `limits` in one file.

    A write-ahead log would map a file into memory, and a full file system would then end the process by SIGBUS.

    Args:
        uri: `shared-memory://` and the path of the file.
    """

    STORAGE_SCHEME = ["shared-memory"]

    def __init__(self, uri: str, wrap_exceptions: bool = False, **options: float | str | bool) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        self._path = uri.removeprefix("shared-memory://")
        self._local = threading.local()
        self._added = 0

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the storage raises when its file cannot be read or written."""
        return sqlite3.Error

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add to a count, unless it would pass its limit; returns whether it was added."""
        now, part_s = time.time(), expiry / _PARTS
        part = int(now / part_s)
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self._sum(connection, key, part) + amount > limit:
                connection.execute("ROLLBACK")
                return False
            connection.execute(
                "INSERT INTO hits VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                (key, part, amount, now + expiry + part_s),
            )
            self._added += 1
            if self._added % _SWEEP_EVERY == 0:
                connection.execute("DELETE FROM hits WHERE expires < ?", (now,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """Return when the oldest part of the window began, and the sum of the window."""
        part_s = expiry / _PARTS
        part = int(time.time() / part_s)
        connection = self._connect()
        query = "SELECT MIN(part) FROM hits WHERE key = ? AND part >= ?"
        (oldest,) = connection.execute(query, (key, part - _PARTS)).fetchone()
        # The part counts until it is a whole window, and itself, old.
        return (part if oldest is None else oldest + 1) * part_s, self._sum(connection, key, part)

    def _sum(self, connection: sqlite3.Connection, key: str, part: int) -> int:
        query = "SELECT COALESCE(SUM(amount), 0) FROM hits WHERE key = ? AND part >= ?"
        return int(connection.execute(query, (key, part - _PARTS)).fetchone()[0])

    def _connect(self) -> sqlite3.Connection:
        """Connect this thread of this process: a connection survives no fork, and threads would wait for each other."""
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is None or self._local.pid != os.getpid():
            known = sqlite3.connect(self._path, timeout=2.0, isolation_level=None)
            known.execute("PRAGMA journal_mode = TRUNCATE")
            known.execute("PRAGMA synchronous = OFF")  # a memory file system has nothing to write through to
            known.execute("PRAGMA mmap_size = 0")
            known.execute(_TABLE)
            self._local.connection, self._local.pid = known, os.getpid()
        return known

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a count whatever its limit; returns the sum of its window."""
        self.acquire_entry(key, 2**62, expiry, amount)
        return self.get(key)

    def get(self, key: str) -> int:
        """Return the sum of all that is kept for a key."""
        (found,) = self._connect().execute("SELECT COALESCE(SUM(amount), 0) FROM hits WHERE key = ?", (key,)).fetchone()
        return int(found)

    def get_expiry(self, key: str) -> float:
        """Return when the last of a key's counts is forgotten, in seconds since 1970."""
        (found,) = self._connect().execute("SELECT MAX(expires) FROM hits WHERE key = ?", (key,)).fetchone()
        return float(found or time.time())

    def check(self) -> bool:
        """Check whether the file can be read."""
        try:
            with closing(self._connect().execute("SELECT 1")):
                return True
        except sqlite3.Error:
            return False

    def reset(self) -> int | None:
        """Forget every count; returns how many there were."""
        return self._connect().execute("DELETE FROM hits").rowcount

    def clear(self, key: str) -> None:
        """Forget the counts of a key."""
        self._connect().execute("DELETE FROM hits WHERE key = ?", (key,))
