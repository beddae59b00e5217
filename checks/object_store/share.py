"""Writes and reads a collection in an object store with several processes: `python -m checks.object_store.share s3://…`.

The variables that name the object store are those of its own tools, such as AWS_ENDPOINT_URL.
"""

import subprocess
import sys
from collections import Counter

import numpy as np

from search.entries import Entry
from search.filters import parse_filter
from search.interface import SearchOptions, Store
from search.opening import open_store
from search.settings import SearchSettings

SPACE, DIMENSIONS, BATCHES, ENTRIES = "check:0", 16, 8, 20


def write(place: str, name: str) -> None:
    """Write batches of a writer's own entries, and in each one entry that the other writer inserts at that time too."""
    store = open_store(SearchSettings(dir=place, maintain_s=0))
    rng = np.random.default_rng(sum(name.encode()))
    for number in range(BATCHES):
        ids = [*(f"{name}-{number}-{index}" for index in range(ENTRIES)), f"shared-{number}"]
        vectors = rng.normal(size=(len(ids), DIMENSIONS)).astype(np.float32)
        store.upsert("words", [Entry(ids[row], vectors[row], "pose", SPACE, gloss=name) for row in range(len(ids))])
    store.close()


def check(store: Store, place: str) -> None:
    """Have two processes write, and check that this one finds all they wrote, and nothing twice.

    Raises:
        AssertionError: it does not.
    """
    store.create_collection("words", space=SPACE, dimensions=DIMENSIONS, description="shared")
    command = [sys.executable, "-m", "checks.object_store.share", place]
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    codes = [writer.wait() for writer in writers]
    if any(codes):
        raise AssertionError("a writer failed")
    ids = Counter(entry.id for batch in store.iterate("words") for entry in batch)
    expected = {f"{name}-{n}-{i}" for name in "ab" for n in range(BATCHES) for i in range(ENTRIES)}
    expected |= {f"shared-{number}" for number in range(BATCHES)}
    if set(ids) != expected or max(ids.values()) != 1:
        raise AssertionError(f"{len(expected)} entries were written, {sum(ids.values())} are there")
    query = np.ones((1, DIMENSIONS), np.float32)
    for options in (SearchOptions(mode="exact"), SearchOptions(filter=parse_filter({"gloss": "a"}))):
        [exact] = store.search("words", query, options)
        if not 0 < len(exact) <= 10:
            raise AssertionError("nothing is found")
    store.maintain("words")
    store.write_attachment("words", "probe", b"kept")
    if store.delete_entries("words", ["shared-0"]) != 1 or store.read_attachment("words", "probe") != b"kept":
        raise AssertionError("an entry was not deleted, or an attachment is not kept")
    store.delete_collection("words")
    if store.list_collections():
        raise AssertionError("the collection is still there")


def main(arguments: list[str]) -> int:
    """Check the object store that the command line names; with a second word, be one of the writers."""
    place, *writer = arguments
    if writer:
        write(place, writer[0])
        return 0
    check(open_store(SearchSettings(dir=place, maintain_s=0)), place)
    print(f"{place}: two processes wrote {(2 * ENTRIES + 1) * BATCHES} entries, nothing is lost and nothing is double")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
