"""Texts over HTTP while batches wait for those whom the last one answered, and while they do not.

    python -m benchmarks.linger [--quick] [--dtype bfloat16] [--out FILE.json] [--shares 0,0.3]

Each share has an engine of its own, in turns; see engine.linger. Clients ask again as soon as they are answered.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks import inputs
from benchmarks.measuring import machine_facts, write_results
from benchmarks.serving import drive, prepare_bodies, serving

CLIENTS = (1, 2, 8, 32)


@contextlib.contextmanager
def engine(share: float, folder: Path, weights: Path, dtype: str) -> Iterator[str]:
    """An engine that waits for so long; gives its address."""
    address = f"ipc://{folder}/engine.sock"
    command = [sys.executable, "-m", "engine", "--address", address, "--linger", str(share)]
    command += ["--weights-dir", str(weights), "--text-cache-items", "0", "--log-level", "WARNING"]
    command += ["--dtype", dtype]
    with subprocess.Popen(command, cwd=inputs.ROOT, env=os.environ) as process:
        try:
            yield address
        finally:
            process.terminate()


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of four seconds instead of three of eight")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shares", type=lambda words: [float(word) for word in words.split(",")], default=[0.0, 0.3])
    options = parser.parse_args()
    rounds, seconds = (1, 4.0) if options.quick else (3, 8.0)
    weights = inputs.full_size_weights().path
    rates: dict[tuple[float, int], list[float]] = defaultdict(list)
    latencies: dict[tuple[float, int], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for share in options.shares:
            with (
                tempfile.TemporaryDirectory() as folder,
                engine(share, Path(folder), weights, options.dtype) as address,
            ):
                bodies = prepare_bodies(Path(folder))
                settings = {"SIGNCLIP_WEIGHTS_DIR": str(weights), "SIGNCLIP_LOG_LEVEL": "WARNING"}
                with serving("app:app", workers=4, SIGNCLIP_ENGINE_ADDRESS=address, **settings) as server:
                    drive(server, "text", bodies.text, concurrency=8, seconds=1.0)
                    for clients in CLIENTS:
                        row = drive(server, "text", bodies.text, concurrency=clients, seconds=seconds)
                        rates[share, clients].append(row["rate"])
                        latencies[share, clients].append(row["p50_ms"])
    print(f"{'clients':>8}" + "".join(f"{f'share {share:g}':>24}" for share in options.shares))
    rows = []
    for clients in CLIENTS:
        line = f"{clients:8}"
        for share in options.shares:
            rate, p50_ms = (statistics.median(found[share, clients]) for found in (rates, latencies))
            rows.append({"clients": clients, "share": share, "texts_per_s": rate, "p50_ms": p50_ms})
            line += f"{rate:12.1f}/s{p50_ms:7.0f} ms"
        print(line)
    write_results("linger", {"machine": machine_facts(), "dtype": options.dtype, "rows": rows}, options.out)


if __name__ == "__main__":
    main()
