"""Upkeep: a worn collection is compacted and indexed by a process of its own, and nothing that is stored changes."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from processes.files import try_lock
from search.__main__ import main
from search.errors import CollectionUnknownError
from search.interface import SearchOptions
from search.lance_attachments import LanceAttachments
from search.opening import open_store
from search.rows import normalize
from search.store import LanceStore
from search.upkeep import Upkeep
from tests.search.entries import make_entries, make_vectors

VECTORS = make_vectors(900)


@pytest.fixture
def small_settings(search_settings):
    """Settings with which 256 entries are many."""
    return replace(search_settings, flat_rows=256)


def test_many_small_writes_wear_a_collection_until_it_is_looked_after(store, search_settings, tmp_path):
    reader = LanceStore(search_settings)
    assert reader.list_worn() == []
    for entry in make_entries(VECTORS[:18]):
        store.upsert("words", [entry])
    assert reader.list_worn() == ["words"]
    before = store.search("words", VECTORS[:2])
    upkeep = Upkeep(search_settings, tmp_path / "lock", reader.list_worn)
    assert upkeep.look() == ["words"]
    assert upkeep.look() == []
    assert store.search("words", VECTORS[:2]) == before


def test_a_large_collection_is_indexed_and_new_rows_are_found_at_once(store, small_settings):
    large = LanceStore(small_settings)
    entries = make_entries(VECTORS)
    large.upsert("words", entries[:600])
    assert large.list_worn() == ["words"]
    large.maintain("words")
    assert large.list_worn() == []
    query = make_vectors(20, seed=3)
    exact = large.search("words", query, SearchOptions(mode="exact"))
    assert large.search("words", query) == exact
    large.upsert("words", entries[600:])
    for number in (0, 299, 600, 899):
        assert large.search("words", VECTORS[number : number + 1])[0][0].id == entries[number].id
    large.delete_entries("words", [entries[899].id])
    assert large.search("words", VECTORS[899:])[0][0].id != entries[899].id


def test_filters_and_groups_go_through_the_index(store, small_settings):
    from search.filters import parse_filter

    large = LanceStore(small_settings)
    large.upsert("words", make_entries(VECTORS))
    large.maintain("words")
    for options in (
        SearchOptions(filter=parse_filter({"sign_language": "gsg", "tags.signer": ["s1", "s2"]})),
        SearchOptions(filter=parse_filter({"gloss": {"not": ["SIGN-1", "SIGN-2"]}, "kind": "pose"})),
        SearchOptions(group_by="gloss", k=10),
    ):
        found = large.search("words", VECTORS[:5], options)
        assert found == large.search("words", VECTORS[:5], replace(options, mode="exact"))
        assert found == large.search("words", VECTORS[:5], replace(options, mode="approximate"))


def test_what_is_attached_goes_before_a_new_collection_of_the_name_may_come(store, search_settings, monkeypatch):
    held = []
    delete_all = LanceAttachments.delete_all

    def delete_and_look(attachments, name):
        with try_lock(Path(search_settings.dir) / ".signclip" / "locks" / name) as is_free:
            held.append(not is_free)
        delete_all(attachments, name)

    monkeypatch.setattr(LanceAttachments, "delete_all", delete_and_look)
    store.delete_collection("words")
    assert held == [True]


def test_attachments_are_looked_after_too(store, search_settings, tmp_path):
    """Each key is a fragment at first, and every search reads its collection's description."""
    for number in range(18):
        store.write_attachment("words", f"key{number}", b"%d" % number)
    reader = LanceStore(search_settings)
    assert reader.list_worn() == ["_attachments"]
    assert Upkeep(search_settings, tmp_path / "lock", reader.list_worn).look() == ["_attachments"]
    assert reader.list_worn() == []
    assert [store.read_attachment("words", f"key{number}") for number in (0, 17)] == [b"0", b"17"]
    for number in range(18):
        store.write_attachment("words", f"more{number}", b"")
    store.maintain("words")
    assert reader.list_worn() == []


def test_the_command_compacts_what_it_is_told_to(store, search_settings, capfd, monkeypatch):
    for entry in make_entries(VECTORS[:18]):
        store.upsert("words", [entry])
    place = ["--dir", search_settings.dir]
    assert main(["maintain", "--dir", f"{search_settings.dir}/typo"]) == 0
    assert "there are no collections; --dir" in capfd.readouterr().err
    assert main(["maintain", *place]) == 0
    assert main(["maintain", "nothing", *place]) == 1
    shown = capfd.readouterr()
    assert shown.out == "words: compacted\n"
    assert "there is no collection 'nothing'" in shown.err
    assert LanceStore(search_settings).list_worn() == []
    monkeypatch.setattr("sys.stdin", io.StringIO('{"dirr": "x"}\n'))
    with pytest.raises(SystemExit):
        main(["maintain", "--settings-from-input"])


def test_the_command_keeps_versions_as_long_as_the_service_does(store, search_settings, tmp_path, monkeypatch):
    opened = []

    def open_and_note(settings):
        opened.append(settings)
        return open_store(settings)

    monkeypatch.setattr("search.__main__.open_store", open_and_note)
    monkeypatch.setenv("SIGNCLIP_SEARCH_KEEP_S", "2592000")
    monkeypatch.setenv("SIGNCLIP_SEARCH_DIR", search_settings.dir)
    assert main(["maintain"]) == 0
    assert main(["maintain", "--dir", str(tmp_path / "other")]) == 0
    kept = replace(search_settings, keep_s=2_592_000.0)
    assert opened == [kept, replace(kept, dir=str(tmp_path / "other"))]


def test_tables_of_somebody_else_are_left_alone(store, search_settings):
    """Upkeep would remove their earlier versions, and a request could delete their rows."""
    database = lancedb.connect(search_settings.dir)
    rows = pa.table({"id": ["a", "b"], "vector": [[1.0], [2.0]]})
    for name in ("other", "Other.Table"):
        table = database.create_table(name, rows)
        for _ in range(20):
            table.add(rows)
    reader = LanceStore(search_settings)
    assert [found.name for found in reader.list_collections()] == ["words"]
    assert reader.list_worn() == []
    for ask in (
        lambda: reader.describe_collection("other"),
        lambda: reader.delete_entries("other", ["a"]),
        lambda: reader.delete_collection("other"),
        lambda: reader.maintain("other"),
        lambda: reader.search("other", VECTORS[:1]),
    ):
        with pytest.raises(CollectionUnknownError, match="'other'"):
            ask()
    other = database.open_table("other")
    assert (other.count_rows(), other.version) == (42, 21)


def test_one_process_of_a_machine_looks(tmp_path):
    with try_lock(tmp_path / "lock") as first, try_lock(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with try_lock(tmp_path / "lock") as again:
        assert again


def test_a_store_ends_its_upkeep(search_settings):
    store = open_store(replace(search_settings, maintain_s=3600))
    store.create_collection("words", space="x:1", dimensions=4)
    store.close()
    store.close()


def test_vectors_keep_length_one():
    vectors = np.concatenate([VECTORS * 1000, VECTORS / 1000])
    np.testing.assert_allclose(np.linalg.norm(normalize(vectors).astype(np.float64), axis=1), 1, atol=2e-7)


@pytest.mark.parametrize("dimensions", [1, 4, 768])
def test_a_vector_of_length_1_stays_as_it_is(dimensions):
    vectors = np.random.default_rng(0).normal(size=(2000, dimensions)).astype(np.float32)
    once = normalize(vectors)
    np.testing.assert_array_equal(normalize(once), once)
