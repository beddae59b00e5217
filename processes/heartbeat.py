"""Signs of life of a process: the time stamp of a file beside its socket, which its loop renews."""

import time
from contextlib import suppress
from pathlib import Path

_PAUSE_S = 1.0
# A loop comes round ten times a second. On a machine that swaps, or while a library holds Python's lock, it may miss
# some seconds; one that has been silent for this long hangs, or was stopped.
SILENCE_S = 30.0
# If the watcher itself was held up for this long, it knows nothing of the others.
_OWN_GAP_S = 5.0


def _locate(socket_path: str) -> Path:
    return Path(f"{socket_path}.beat")


class Heartbeat:
    """Renews the sign of life. Call `beat` in every round of the loop.

    Args:
        socket_path: path of the socket that the process listens on.
    """

    def __init__(self, socket_path: str) -> None:
        self._file = _locate(socket_path)
        self._next = 0.0

    def beat(self) -> None:
        """Renew the sign of life, once a second at most."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PAUSE_S
            with suppress(OSError):  # the folder has been removed, or its disk is full: then nobody is watched
                self._file.touch()


class HeartbeatWatch:
    """Finds out that a process shows no sign of life. One that has never shown any is not watched.

    Args:
        socket_path: path of the socket that the process listens on.
    """

    def __init__(self, socket_path: str) -> None:
        self._file = _locate(socket_path)
        self.forget()

    def forget(self) -> None:
        """Begin again, because another process will show its signs of life there."""
        with suppress(OSError):
            self._file.unlink()
        self._seen_ns = 0
        self._changed = self._looked = time.monotonic()

    def is_silent(self) -> bool:
        """Look for a new sign of life; return whether there was none for SILENCE_S. Call it every few seconds."""
        now = time.monotonic()
        if now - self._looked > _OWN_GAP_S:
            self._changed = now
        self._looked = now
        try:
            stamp_ns = self._file.stat().st_mtime_ns
        except OSError:
            return False
        if stamp_ns != self._seen_ns:
            self._seen_ns, self._changed = stamp_ns, now
        return now - self._changed > SILENCE_S
