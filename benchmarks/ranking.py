"""Searching clips for prompts in bounded memory, and what 100,000 for 100,000 would take.

    python -m benchmarks.ranking [--quick] [--out DIR] [--vectors 100000]

Noise of 768 dimensions, each prompt with one right clip. Time grows with the square of the vectors, memory with their
number; both are measured, in a process of its own.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.measuring import machine_facts, measure_peak_bytes, write_results
from search.ranking import rank
from search.scoring import DotProducts

DIMENSIONS, ASKED = 768, 100_000


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10,000 vectors")
    parser.add_argument("--out", type=Path, help="folder or .json file (default: benchmarks/results)")
    parser.add_argument("--vectors", type=int, help="on each side (default: 30,000)")
    options = parser.parse_args()
    count = options.vectors or (10_000 if options.quick else 30_000)
    generator = np.random.default_rng(0)
    before = measure_peak_bytes()
    queries, candidates = (generator.standard_normal((count, DIMENSIONS), dtype=np.float32) for _ in range(2))
    labels = np.arange(count)
    started = time.perf_counter()
    rank(DotProducts(queries, candidates), labels, labels)
    seconds = time.perf_counter() - started
    taken = measure_peak_bytes() - before
    results = {
        "machine": machine_facts(),
        "vectors": count,
        "seconds": seconds,
        "bytes": taken,
        "scores_per_s": count**2 / seconds,
        "gflops": 2 * DIMENSIONS * count**2 / seconds / 1e9,
    }
    print(f"{count:,} × {count:,}: {seconds:.1f} s, {taken / 2**20:,.0f} MiB at most, vectors among them")
    print(f"{results['gflops']:.0f} GFLOP/s in float64")
    print(f"{ASKED:,} × {ASKED:,} at this rate: {seconds * (ASKED / count) ** 2 / 60:.0f} minutes a direction")
    write_results("ranking", results, options.out)


if __name__ == "__main__":
    main()
