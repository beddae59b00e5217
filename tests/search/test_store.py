"""Every kind of store, in one process: what is written is read, found, changed, deleted and restored."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from search.errors import (
    CollectionExistsError,
    CollectionNameError,
    CollectionUnknownError,
    EntryInvalidError,
    EntryUnknownError,
    SpaceMismatchError,
    StoreError,
    StoreFullError,
    VersionUnknownError,
)
from search.filters import parse_filter
from search.interface import SearchOptions
from search.opening import open_store
from search.store import LanceStore
from tests.search.entries import DIMENSIONS, SPACE, list_ids, make_entries, make_vectors

VECTORS = make_vectors(300)


@pytest.fixture
def search_settings(settings_of_each_kind):
    return settings_of_each_kind


def test_an_entry_comes_back_as_it_was(store):
    entry = replace(make_entries(VECTORS[:1] * 5)[0], pose=b"\x00packed\xff", quality={"frames": 3, "warnings": []})
    before = datetime.now(UTC)
    store.upsert("words", [entry])
    found = store.find_entries("words", [entry.id, "nothing"])
    assert list(found) == [entry.id]
    np.testing.assert_allclose(found[entry.id].vector, VECTORS[0], atol=1e-7)
    assert before <= found[entry.id].created <= datetime.now(UTC)
    plain = {"vector": VECTORS[0], "created": None}
    stored, given = replace(found[entry.id], **plain), replace(entry, **plain)
    assert {name: getattr(stored, name) for name in stored.__dict__ if name != "vector"} == {
        name: getattr(given, name) for name in given.__dict__ if name != "vector"
    }


def test_the_last_of_equal_ids_stays(store):
    first, second = make_entries(VECTORS[:2])
    store.upsert("words", [first, replace(second, id=first.id)])
    assert store.find_entries("words", [first.id])[first.id].gloss == second.gloss
    store.upsert("words", [replace(first, gloss="NEW")])
    assert store.find_entries("words", [first.id])[first.id].gloss == "NEW"
    assert store.count("words") == 1


@pytest.mark.parametrize("mode", ["auto", "exact", "approximate"])
def test_every_way_to_search_finds_the_same(store, mode):
    entries = make_entries(VECTORS)
    store.upsert("words", entries)
    query = make_vectors(2, seed=5) * 4
    for filter in ({}, {"sign_language": "gsg", "tags.age": {"not": 2}}):
        kept = store.read_columns("words", filter=parse_filter(filter))
        hits = store.search("words", query, SearchOptions(k=7, filter=parse_filter(filter), mode=mode))
        for row, found in zip(query, hits, strict=True):
            scores = kept.vectors.astype(np.float64) @ (row / np.linalg.norm(row)).astype(np.float64)
            best = np.argsort(-scores)[:7]
            assert [hit.id for hit in found] == [kept.ids[index] for index in best]
            assert [hit.rank for hit in found] == list(range(1, 8))
            np.testing.assert_allclose([hit.score for hit in found], scores[best], atol=1e-7)
            assert [hit.gloss for hit in found] == [kept.glosses[index] for index in best]
            assert [hit.tags for hit in found] == [kept.tags[index] for index in best]


@pytest.mark.parametrize("mode", ["auto", "approximate"])
def test_groups_and_least_scores(store, mode):
    store.upsert("words", make_entries(VECTORS))
    [found] = store.search("words", VECTORS[3:4], SearchOptions(k=20, group_by="gloss", mode=mode))
    assert [hit.gloss for hit in found] == list(dict.fromkeys(hit.gloss for hit in found))
    assert len(found) == 10
    least = found[4].score
    [good] = store.search("words", VECTORS[3:4], SearchOptions(k=20, group_by="gloss", mode=mode, min_score=least))
    assert good == found[:5]


def test_equal_vectors_are_found_in_the_order_of_their_ids(store):
    vectors = np.repeat(VECTORS[:1], 50, axis=0)
    store.upsert("words", make_entries(vectors)[::-1])
    [found] = store.search("words", VECTORS[:1])
    assert [hit.id for hit in found] == [f"e{number:06d}" for number in range(10)]
    assert {hit.score for hit in found} == {found[0].score}


@pytest.mark.parametrize(("number", "kind"), [(28, StoreFullError), (13, StoreError)])
def test_a_snapshot_that_cannot_be_written_is_a_typed_error(store, monkeypatch, number, kind):
    def fail(*_):
        raise OSError(number, "the system refuses")

    store.upsert("words", make_entries(VECTORS[:3]))
    monkeypatch.setattr("search.snapshots._write", fail)
    for ask in (lambda: store.search("words", VECTORS[:1]), lambda: store.read_columns("words")):
        with pytest.raises(StoreError) as caught:
            ask()
        assert type(caught.value) is kind
    monkeypatch.undo()
    assert len(store.search("words", VECTORS[:1])[0]) == 3


def test_what_was_just_written_is_found_by_every_store(store, search_settings):
    """A snapshot of the former version must not answer, in this store or in that of another process."""
    other = open_store(search_settings)
    for number, entry in enumerate(make_entries(VECTORS[:12]), start=1):
        store.upsert("words", [entry])
        for reader in (store, other):
            assert reader.search("words", entry.vector[None])[0][0].id == entry.id
            assert reader.count("words") == number
    store.delete_entries("words", ["e000011"])
    assert "e000011" not in [hit.id for hit in other.search("words", VECTORS[11:12])[0]]


def test_a_change_starts_from_the_entry_as_it_is(store):
    store.upsert("words", make_entries(VECTORS[:1]))
    changed = store.change_entry("words", "e000000", lambda entry: replace(entry, gloss=entry.gloss + "!"))
    assert changed.gloss == "SIGN-0!" == store.find_entries("words", ["e000000"])["e000000"].gloss
    with pytest.raises(EntryUnknownError, match="'nothing'"):
        store.change_entry("words", "nothing", lambda entry: entry)


def test_a_change_of_another_machine_in_between_is_not_lost(store, search_settings, monkeypatch):
    """Machines that share an object store share no lock; nor do these two stores."""
    monkeypatch.setattr("search.lance_tables.LanceTables.lock", lambda *_: nullcontext())
    if not isinstance(store, LanceStore):
        pytest.skip("writers of a database wait for each other")
    other = LanceStore(search_settings)
    long_ago = datetime(1600, 1, 1, tzinfo=UTC)
    store.upsert("words", [replace(entry, created=long_ago) for entry in make_entries(VECTORS[:2])])
    waiting = ["first", "second"]

    def change(entry):
        if waiting:
            tag = waiting.pop()
            other.change_entry("words", entry.id, lambda known: replace(known, tags={**known.tags, tag: True}))
        return replace(entry, gloss="NEW")

    changed = store.change_entry("words", "e000000", change)
    [found] = store.find_entries("words", ["e000000"]).values()
    assert (found.gloss, changed.gloss) == ("NEW", "NEW")
    assert found.tags == changed.tags == {**make_entries(VECTORS[:1])[0].tags, "first": True, "second": True}
    with pytest.raises(EntryUnknownError):
        store.change_entry("words", "e000001", lambda entry: other.delete_entries("words", [entry.id]) and entry)
    with pytest.raises(StoreError, match="again and again"):
        store.change_entry("words", "e000000", lambda entry: other.change_entry("words", entry.id, lambda one: one))
    assert store.count("words") == 1


def test_deleted_entries_are_counted(store):
    store.upsert("words", make_entries(VECTORS[:3]))
    assert store.delete_entries("words", ["e000001", "e000001", "it's"]) == 1
    assert store.delete_entries("words", []) == 0
    assert list_ids(entry for batch in store.iterate("words") for entry in batch) == ["e000000", "e000002"]


def test_an_earlier_version_can_be_read_and_restored(store):
    entries = make_entries(VECTORS[:6])
    store.upsert("words", entries[:3])
    version = store.list_versions("words")[-1]
    store.upsert("words", entries[3:])
    store.delete_entries("words", ["e000000"])
    assert list_ids(e for batch in store.iterate("words", version=version) for e in batch) == list_ids(entries[:3])
    store.restore("words", version)
    assert list_ids(e for batch in store.iterate("words") for e in batch) == list_ids(entries[:3])
    assert store.search("words", VECTORS[:1])[0][0].id == "e000000"
    for missing in (10_000, 0, 2**80):
        with pytest.raises(VersionUnknownError, match=f"no version {missing}"):
            store.restore("words", missing)


def test_collections_are_created_listed_and_deleted(store):
    made = store.create_collection("names", space="other:1", dimensions=4, description="people")
    assert (made.space, made.dimensions, made.description, made.entries) == ("other:1", 4, "people", 0)
    assert store.create_collection("names", space="other:1", dimensions=4, description="new").description == "new"
    assert [collection.name for collection in store.list_collections()] == ["names", "words"]
    with pytest.raises(CollectionExistsError, match=r"'other:1'.*'third:1'"):
        store.create_collection("names", space="third:1", dimensions=4)
    store.delete_collection("names")
    assert [collection.name for collection in store.list_collections()] == ["words"]
    with pytest.raises(CollectionUnknownError, match="'names'"):
        store.describe_collection("names")


def test_a_new_collection_has_nothing_of_the_one_that_had_its_name(store, search_settings):
    """Both have the same number of versions, and other processes know the first."""
    other = open_store(search_settings)
    store.upsert("words", make_entries(VECTORS[:5]))
    store.write_attachment("words", "probe", b"old")
    assert len(other.search("words", VECTORS[:1])[0]) == 5
    store.delete_collection("words")
    with pytest.raises(CollectionUnknownError):
        other.search("words", VECTORS[:1])
    store.create_collection("words", space=SPACE, dimensions=DIMENSIONS)
    store.upsert("words", make_entries(VECTORS[5:7], prefix="new"))
    for reader in (store, other):
        assert {hit.id for hit in reader.search("words", VECTORS[:1])[0]} == {"new000000", "new000001"}
        assert reader.read_attachment("words", "probe") is None


def test_attachments_are_kept_beside_their_collection(store):
    store.create_collection("names", space="other:1", dimensions=4)
    store.write_attachment("words", "probe", b"one")
    store.write_attachment("words", "probe", b"two\x00")
    assert store.read_attachment("words", "probe") == b"two\x00"
    assert store.read_attachment("words", "nothing") is None
    assert store.read_attachment("names", "probe") is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "A", "_attachments", "-a", "a" * 49, "a\x00", "a.lance", "ä", "a b"]
)
def test_names_that_could_be_paths_are_refused(store, name):
    for call in (
        lambda: store.create_collection(name, space=SPACE, dimensions=4),
        lambda: store.search(name, VECTORS[:1]),
        lambda: store.delete_collection(name),
        lambda: store.upsert(name, []),
        lambda: store.read_attachment(name, "x"),
    ):
        with pytest.raises(CollectionNameError, match="is no name of a collection"):
            call()


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"id": "../../etc"}, "no slash"),
        ({"id": ".."}, "is no id"),
        ({"id": ""}, "is no id"),
        ({"id": "x" * 201}, "1 to 200"),
        ({"kind": "video"}, "'video'"),
        ({"vector": np.ones(4, np.float32)}, r"\(4,\)"),
        ({"vector": np.zeros(DIMENSIONS, np.float32)}, "is 0"),
        ({"vector": np.full(DIMENSIONS, np.nan, np.float32)}, "not finite"),
        ({"space": "other:1"}, "'other:1'"),
        ({"gloss": "x" * 1001}, "gloss has 1001"),
        ({"texts": ("x",) * 33}, "33 texts"),
        ({"texts": ("x" * 1001,)}, "texts/0"),
        ({"tags": {"a=b": 1}}, "equals sign"),
        ({"tags": {"a": None}}, "'a'"),
        ({"tags": {"a": float("nan")}}, "finite"),
        ({"tags": {str(n): n for n in range(33)}}, "33 tags"),
        ({"pose": bytes(8 * 1024 * 1024 + 1)}, "8388609 bytes"),
    ],
)
def test_an_entry_that_cannot_be_stored_stores_none(store, change, fragment):
    good, bad = make_entries(VECTORS[:2])
    with pytest.raises(EntryInvalidError, match=fragment):
        store.upsert("words", [good, replace(bad, **change)])
    assert store.count("words") == 0


def test_queries_of_other_dimensions_are_refused(store):
    with pytest.raises(SpaceMismatchError, match=rf"\(1, 3\).*{SPACE}.*{DIMENSIONS}"):
        store.search("words", np.ones((1, 3), np.float32))


def test_an_empty_collection_has_no_hits(store):
    for mode in ("auto", "exact", "approximate"):
        assert store.search("words", VECTORS[:2], SearchOptions(mode=mode)) == [[], []]
    assert store.read_columns("words").ids == ()


def test_upkeep_changes_nothing_that_is_stored(store):
    for entry in make_entries(VECTORS[:20]):
        store.upsert("words", [entry])
    before = store.search("words", VECTORS[:3])
    store.maintain("words")
    assert store.count("words") == 20
    assert store.search("words", VECTORS[:3]) == before
