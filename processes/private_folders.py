"""Folders of one process, removed by the next one if their owner was killed."""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "signclip-"
# Its owner holds a lock on this file for as long as it lives. A process id would not do: containers that share a folder
# have process ids of their own.
_ALIVE = ".alive"
# An owner takes its lock a moment after it made the folder.
_YOUNG_S = 60.0


class PrivateFolder:
    """A folder that only this user may enter, and that this process removes.

    The processes that it forks keep the folder alive, too: a worker that outlives its master still uses it.

    Args:
        name: begins the folder's name.
        parent: the folder around it; None: the system's folder for temporary files.
    Raises:
        OSError: the folder cannot be made.

    Attributes:
        path: where it is.
    """

    def __init__(self, name: str = "", *, parent: str | None = None) -> None:
        _remove_abandoned(Path(parent or tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX + name, dir=parent))
        self._alive = (self.path / _ALIVE).open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        # systemd removes what lies for weeks among temporary files, unless such a lock is held (tmpfiles.d(5), Age).
        self._kept: int | None = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._kept, fcntl.LOCK_SH)

    def remove(self) -> None:
        """Remove the folder and what is in it. May be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._alive.close()
        if self._kept is not None:
            os.close(self._kept)
            self._kept = None


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of this user's processes that were killed."""
    before = time.time() - _YOUNG_S
    with suppress(OSError):  # another process removes them at the same time, or the parent cannot be read
        for path in parent.glob(f"{PREFIX}*/{_ALIVE}"):
            with suppress(OSError):  # it is another user's, or its owner lives
                if path.parent.stat().st_uid != os.getuid() or path.stat().st_mtime > before:
                    continue
                with path.open("r+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path.parent, ignore_errors=True)
