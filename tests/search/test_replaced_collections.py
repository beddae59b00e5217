"""Collections that are deleted, and created anew, while another request works on them."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

import search.store
from search.entries import check_entry
from search.errors import CollectionUnknownError, StoreError
from search.interface import SearchOptions
from search.opening import open_store
from search.store import LanceStore
from tests.search.entries import DIMENSIONS, SPACE, make_entries, make_vectors

VECTORS = make_vectors(5)
READS = {
    "search": lambda store: store.search("words", VECTORS[:1], SearchOptions(3, mode="approximate")),
    "find_entries": lambda store: store.find_entries("words", ["e000001"]),
    "iterate": lambda store: list(store.iterate("words")),
    "read_columns": lambda store: store.read_columns("words"),
}


@pytest.fixture
def search_settings(settings_of_each_kind):
    return settings_of_each_kind


@pytest.mark.parametrize(("space", "dimensions"), [("other:1", DIMENSIONS), (SPACE, 4)])
def test_entries_for_a_collection_never_reach_the_next_of_its_name(store, monkeypatch, space, dimensions):
    def check_and_replace(entry, **options):
        check_entry(entry, **options)
        store.delete_collection("words")
        store.create_collection("words", space=space, dimensions=dimensions)

    monkeypatch.setattr(f"{type(store).__module__}.check_entry", check_and_replace)
    with pytest.raises(CollectionUnknownError, match="created anew meanwhile; send the request again"):
        store.upsert("words", make_entries(VECTORS[:1]))
    assert store.count("words") == 0


def test_nothing_is_attached_to_a_collection_that_another_process_deleted(store, search_settings):
    other = open_store(search_settings)
    assert other.count("words") == 0
    store.delete_collection("words")
    with pytest.raises(CollectionUnknownError):
        other.write_attachment("words", "probe", b"late")
    store.create_collection("words", space=SPACE, dimensions=DIMENSIONS)
    assert store.read_attachment("words", "probe") is None


@pytest.mark.parametrize("deletes", [True, False])
@pytest.mark.parametrize("read", list(READS))
def test_a_deletion_during_a_read_is_told_from_lost_files(store, search_settings, monkeypatch, read, deletes):
    if not isinstance(store, LanceStore):
        pytest.skip("a database keeps what a transaction reads")
    store.upsert("words", make_entries(VECTORS))
    folder = Path(search_settings.dir) / "words.lance"

    def lose(*_, **__):
        shutil.rmtree(folder / "data")
        if deletes:  # it holds the lock until the rest is gone, too
            monkeypatch.setattr(store._tables, "lock", lambda _: nullcontext(shutil.rmtree(folder)))
        return original(*_, **__)

    name = {"search": "find_in_table", "find_entries": "write_ids"}.get(read, "read_batches")
    original = getattr(search.store, name)
    monkeypatch.setattr(search.store, name, lose)
    with pytest.raises(CollectionUnknownError if deletes else StoreError):
        READS[read](store)


@pytest.mark.parametrize("is_filled", [True, False])
@pytest.mark.parametrize("read", ["search", "read_columns"])
def test_a_read_of_a_version_that_another_collection_ended_says_so(store, monkeypatch, read, is_filled):
    if not isinstance(store, LanceStore):
        pytest.skip("a database keeps what a transaction reads")
    store.upsert("words", make_entries(VECTORS))
    find = store._snapshots.find

    def find_late(*given):
        store.delete_collection("words")
        store.create_collection("words", space="other:1", dimensions=DIMENSIONS)
        if is_filled:  # it then has a version of this number, too
            store.upsert("words", [replace(entry, space="other:1") for entry in make_entries(VECTORS)])
        return find(*given)

    monkeypatch.setattr(store._snapshots, "find", find_late)
    with pytest.raises(CollectionUnknownError, match="created anew meanwhile"):
        store.read_columns("words") if read == "read_columns" else store.search("words", VECTORS[:1])


def test_a_collection_whose_folder_is_half_deleted_is_unknown(store, search_settings):
    if not isinstance(store, LanceStore):
        pytest.skip("a database deletes at once")
    other = open_store(search_settings)
    shutil.rmtree(Path(search_settings.dir) / "words.lance" / "_versions")
    with pytest.raises(CollectionUnknownError):
        other.describe_collection("words")
