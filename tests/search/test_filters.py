"""Filters: the SQL of both stores and the masks in memory keep the same entries, as a plain loop over them does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from search.conditions import compute_mask
from search.errors import FilterError
from search.filters import Filter, make_tag_label, parse_filter
from search.interface import SearchOptions
from search.opening import open_store
from search.rows import write_rows
from search.settings import SearchSettings
from tests.search.entries import DIMENSIONS, SPACE, list_ids, make_entries, make_vectors

ENTRIES = make_entries(make_vectors(60))
CASES = [
    ({}, lambda entry: True),
    ({"id": "e000003"}, lambda entry: entry.id == "e000003"),
    ({"gloss": ["SIGN-1", "SIGN-2"], "kind": "pose"}, lambda e: e.gloss in ("SIGN-1", "SIGN-2") and e.kind == "pose"),
    ({"sign_language": {"not": "ase"}}, lambda entry: entry.sign_language != "ase"),
    ({"gloss": {"not": ["SIGN-1", "x' OR 1=1 --"]}}, lambda entry: entry.gloss != "SIGN-1"),
    ({"tags.signer": ["s1", "s2"]}, lambda entry: entry.tags["signer"] in ("s1", "s2")),
    ({"tags.age": 3}, lambda entry: entry.tags["age"] == 3),
    ({"tags.age": 3.0}, lambda entry: entry.tags["age"] == 3),
    ({"tags.age": "3"}, lambda entry: False),
    ({"tags.deaf": True, "tags.age": {"not": [0, 1]}}, lambda e: e.tags["deaf"] and e.tags["age"] not in (0, 1)),
    ({"tags.deaf": 1}, lambda entry: False),
    ({"tags.nothing": {"not": "x"}}, lambda entry: True),
    ({"created": {"from": "2020-01-01", "to": "2100-01-01T00:00:00+02:00"}}, lambda entry: True),
    ({"created": {"to": "2020-01-01T00:00:00Z"}}, lambda entry: False),
    ({"created": {"from": "0001-01-01", "to": "9999-12-31T23:59:59Z"}}, lambda entry: True),
    ({"created": {"from": "9999-12-31T23:59:59Z"}}, lambda entry: False),
    ({"created": {"to": "0001-01-01T00:00:00Z"}}, lambda entry: False),
    ({"gloss": ["SIGN-1", "SIGN-2\0"], "tags.signer": {"not": ["\0", "s%s{}"]}}, lambda entry: entry.gloss == "SIGN-1"),
]


@pytest.fixture(scope="module", params=["lancedb", "postgresql"])
def filled(request, tmp_path_factory):
    is_database = request.param == "postgresql"
    place = request.getfixturevalue("postgres") if is_database else str(tmp_path_factory.mktemp("search"))
    store = open_store(SearchSettings(dir=place, maintain_s=0))
    store.create_collection("filtered", space=SPACE, dimensions=DIMENSIONS)
    store.upsert("filtered", ENTRIES)
    yield store
    store.delete_collection("filtered")
    store.close()


@pytest.mark.parametrize(("document", "fits"), CASES, ids=[str(document) for document, _ in CASES])
def test_a_filter_keeps_the_same_entries_everywhere(filled, document, fits):
    filter = parse_filter(document)
    expected = list_ids(entry for entry in ENTRIES if fits(entry))
    mask = compute_mask(write_rows(ENTRIES, DIMENSIONS), filter)
    assert list_ids(entry for entry, kept in zip(ENTRIES, mask, strict=True) if kept) == expected
    assert filled.count("filtered", filter=filter) == len(expected)
    found = [entry for batch in filled.iterate("filtered", filter=filter) for entry in batch]
    assert list_ids(found) == expected
    assert list(filled.read_columns("filtered", filter=filter).ids) == expected
    for mode in ("exact", "approximate"):
        [hits] = filled.search("filtered", ENTRIES[0].vector[None], SearchOptions(k=60, filter=filter, mode=mode))
        assert list_ids(hits) == expected


@pytest.mark.parametrize(
    ("document", "fragment"),
    [
        ({"vector": "x"}, "cannot be filtered by"),
        ({"tags.": "x"}, "cannot be filtered by"),
        ({"tags.a=s:b": "x"}, "no tag has an equals sign"),
        ({"gloss": 3}, "must be texts"),
        ({"gloss": []}, "0 values"),
        ({"gloss": ["x"] * 1001}, "1001 values"),
        ({"gloss": {"like": "x"}}, '{"not": value}'),
        ({"gloss": {"not": []}}, "0 values"),
        ({"tags.age": [None]}, "texts, numbers or booleans"),
        ({"created": "2020-01-01"}, '"from"'),
        ({"created": {"from": "yesterday"}}, "2026-11-26T12:00:00Z"),
        ({"created": {"from": "0001-01-01T00:00:00+01:00"}}, "2026-11-26T12:00:00Z"),
        ({"created": {"since": "2020-01-01"}}, '"from"'),
        ({f"tags.{n}": 1 for n in range(17)}, "17 conditions"),
    ],
)
def test_a_filter_that_is_not_understood_says_why(document, fragment):
    with pytest.raises(FilterError) as refusal:
        parse_filter(document)
    assert fragment in str(refusal.value)


def test_times_without_a_zone_are_utc():
    parsed = parse_filter({"created": {"from": "2026-11-26T12:00:00", "to": "2026-11-26T14:00:00+02:00"}})
    assert parsed == Filter((), datetime(2026, 11, 26, 12, tzinfo=UTC), datetime(2026, 11, 26, 12, tzinfo=UTC))


def test_tags_of_different_types_are_different():
    labels = [make_tag_label("a", value) for value in (1, "1", True, 1.5, 2**53, 2**53 + 1)]
    assert len(set(labels)) == len(labels)
    assert make_tag_label("a", 1) == make_tag_label("a", 1.0)
