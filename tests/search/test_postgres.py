"""What the store on PostgreSQL has of its own: its index, old versions, errors and connections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import psycopg
import pytest

from search.__main__ import main
from search.errors import CollectionUnknownError, EntryInvalidError, StoreError, StoreFullError
from search.filters import parse_filter
from search.interface import SearchOptions
from search.opening import open_store
from search.postgres_errors import translate_errors
from search.settings import SearchSettings
from tests.search.entries import DIMENSIONS, SPACE, make_entries, make_vectors

VECTORS = make_vectors(900)


@pytest.fixture
def search_settings(database):
    """Settings with which 256 entries are many."""
    return SearchSettings(dir=database, maintain_s=0, flat_rows=256)


def test_a_large_collection_is_indexed_and_new_rows_are_found_at_once(store, search_settings, capfd):
    entries = make_entries(VECTORS)
    store.upsert("words", entries[:600])
    assert store.list_worn() == ["words"]
    assert main(["maintain", "--dir", search_settings.dir]) == 0  # with the default, 600 entries are few
    assert store.list_worn() == ["words"]
    store.maintain("words")
    assert store.list_worn() == []
    query = make_vectors(20, seed=3)
    assert store.search("words", query) == store.search("words", query, SearchOptions(mode="exact"))
    store.upsert("words", entries[600:])
    for number in (0, 299, 600, 899):
        assert store.search("words", VECTORS[number : number + 1])[0][0].id == entries[number].id
    store.delete_entries("words", [entries[899].id])
    assert store.search("words", VECTORS[899:])[0][0].id != entries[899].id


def test_the_index_is_used(store, database):
    store.upsert("words", make_entries(VECTORS))
    store.maintain("words")
    with psycopg.connect(database) as connection:
        connection.execute("SET enable_seqscan = off")
        table = connection.execute("SELECT 'signclip.entries_' || key FROM signclip.collections").fetchone()[0]
        zeros = "[" + ",".join(["1"] * DIMENSIONS) + "]"
        nearest = f"SELECT id FROM {table} WHERE until IS NULL ORDER BY vector <=> '{zeros}' LIMIT 10"
        plan = "\n".join(row[0] for row in connection.execute("EXPLAIN " + nearest))
    assert "Index Scan using vectors_" in plan


def test_filters_and_groups_go_through_the_index(store):
    store.upsert("words", make_entries(VECTORS))
    store.maintain("words")
    for options in (
        SearchOptions(filter=parse_filter({"sign_language": "gsg", "tags.signer": ["s1", "s2"]})),
        SearchOptions(filter=parse_filter({"gloss": {"not": ["SIGN-1", "SIGN-2"]}, "kind": "pose"})),
        SearchOptions(group_by="gloss", k=10),
    ):
        found = store.search("words", VECTORS[:5], replace(options, mode="approximate"))
        assert found == store.search("words", VECTORS[:5], replace(options, mode="exact"))


@pytest.fixture
def tired_index(database):
    """The database uses its index wherever it can, and that gives up after 50 entries in place of 20,000."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER ROLE ALL SET hnsw.max_scan_tuples = 50")
        connection.execute("ALTER ROLE ALL SET enable_seqscan = off")
        yield
        connection.execute("ALTER ROLE ALL RESET ALL")


def test_entries_that_are_far_from_the_query_are_found_where_a_filter_keeps_no_others(tired_index, store):
    far = set(np.argsort(VECTORS @ VECTORS[0])[:60].tolist())
    entries = [replace(entry, gloss="FAR" if row in far else "NEAR") for row, entry in enumerate(make_entries(VECTORS))]
    store.upsert("words", entries)
    store.maintain("words")
    filters = [{"gloss": "FAR"}, {"gloss": "FAR", "sign_language": "gsg"}]
    ways = [SearchOptions(filter=parse_filter(kept)) for kept in filters]
    for options in (*ways, SearchOptions(group_by="gloss", k=2)):
        [found] = store.search("words", VECTORS[:1], replace(options, mode="approximate"))
        assert [found] == store.search("words", VECTORS[:1], replace(options, mode="exact"))
        assert len(found) == options.k


def test_versions_that_are_too_old_are_forgotten(store, database):
    entries = make_entries(VECTORS[:3])
    for entry in entries:
        store.upsert("words", [replace(entry, id="same")])
    assert store.list_versions("words") == [1, 2, 3, 4]
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE signclip.versions SET created = created - interval '2 days' WHERE version < 4")
    assert store.list_worn() == ["words"]
    store.maintain("words")
    assert store.list_worn() == []
    assert store.list_versions("words") == [4]
    with psycopg.connect(database) as connection:
        table = connection.execute("SELECT 'signclip.entries_' || key FROM signclip.collections").fetchone()[0]
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
    assert store.find_entries("words", ["same"])["same"].gloss == entries[2].gloss


def test_connections_that_broke_are_replaced(store, database):
    store.upsert("words", make_entries(VECTORS[:3]))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    assert store.count("words") == 3


def test_texts_that_a_database_cannot_keep_are_refused_and_ids_are_not_there(store):
    good, bad = make_entries(VECTORS[:2])
    with pytest.raises(EntryInvalidError, match="0x00"):
        store.upsert("words", [good, replace(bad, gloss="a\0b")])
    assert store.count("words") == 0
    assert store.find_entries("words", ["a\0b"]) == {}
    assert store.delete_entries("words", ["a\0b"]) == 0


def test_a_user_without_rights_may_use_what_is_there(store, database, caplog):
    store.upsert("words", make_entries(VECTORS[:3]))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA signclip TO reader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA signclip TO reader")
    reader = open_store(SearchSettings(dir=database.replace("postgres:@", "reader:@"), maintain_s=0))
    assert len(reader.search("words", VECTORS[:1])[0]) == 3
    with pytest.raises(StoreError, match="the server's log says why"):
        reader.upsert("words", make_entries(VECTORS[:1]))
    assert "permission denied" in caplog.text
    reader.close()


def test_a_database_that_cannot_be_reached_is_a_typed_error():
    with pytest.raises(StoreError, match="cannot be read or written") as caught:
        open_store(SearchSettings(dir="postgresql://someone:secret@127.0.0.1:9/none", maintain_s=0))
    assert not any(word in str(caught.value) for word in ("secret", "someone", "127.0.0.1"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull("could not extend file: No space left on device"), StoreFullError),
        (psycopg.errors.UndefinedTable("relation does not exist"), CollectionUnknownError),
        (psycopg.errors.InsufficientPrivilege("permission denied"), StoreError),
        (psycopg.OperationalError(""), StoreError),
        (OSError(28, "No space left on device"), StoreFullError),
        (PermissionError(13, "Permission denied"), StoreError),
    ],
)
def test_errors_of_the_library_are_translated(error, kind):
    with pytest.raises((StoreError, CollectionUnknownError)) as caught, translate_errors("words"):
        raise error
    assert type(caught.value) is kind


def test_what_is_there_twice_is_made_once(database):
    """Several workers open a new database at the same time."""
    import threading

    stores, failed = [], []

    def open_one() -> None:
        try:
            stores.append(open_store(SearchSettings(dir=database, maintain_s=0)))
            stores[-1].create_collection("words", space=SPACE, dimensions=DIMENSIONS)
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [len(store.list_collections()) for store in stores] == [1] * 4
    for store in stores:
        store.close()
