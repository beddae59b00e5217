"""A process that writes batches into a store, and prints the number of each once it is stored."""

from __future__ import annotations

import sys

from search.opening import open_store
from search.settings import SearchSettings
from tests.search.entries import make_entries, make_vectors

BATCH = 20


def write(place: str, name: str, batches: int) -> None:
    """Write batches of entries of its own, and in each one entry that all writers share."""
    store = open_store(SearchSettings(dir=place, maintain_s=0))
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(batches):
        vectors = make_vectors(BATCH + 1, seed=number)
        entries = make_entries(vectors[:BATCH], prefix=f"{name}-{number:03d}-")
        entries += make_entries(vectors[BATCH:], prefix="shared-")
        store.upsert("words", entries)
        print(number, flush=True)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
