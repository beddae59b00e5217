"""A store in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.interface import Store
from search.opening import open_store
from search.settings import SearchSettings
from tests.search.entries import DIMENSIONS, SPACE


@pytest.fixture
def search_settings(tmp_path: Path) -> SearchSettings:
    return SearchSettings(dir=str(tmp_path / "search"), maintain_s=0)


@pytest.fixture
def store(search_settings: SearchSettings) -> Iterator[Store]:
    """A store with an empty collection `words`."""
    store = open_store(search_settings)
    store.create_collection("words", space=SPACE, dimensions=DIMENSIONS)
    yield store
    store.close()
