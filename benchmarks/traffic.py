"""Rates and latencies of the service under many connections, for a device that one client cannot keep busy.

    python -m benchmarks.traffic [--quick] [--device cuda] [--dtype auto] [--workers 12] [--out DIR]

The real server with the full-size model and no text cache, loaded by as many processes as its connections need. Beside
each load stands the share of the machine's cores that all processes together took, those of the clients among them.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import inputs
from benchmarks.measuring import machine_facts, write_results
from benchmarks.serving import BOUNDARY, Server, serving, start_load
from models.backends.choice import choose_device

# A client process answers for this many connections before it is the limit itself.
CONNECTIONS_A_CLIENT = 32
CLIENTS = 4
FORM_FRAMES = 60


@dataclass(frozen=True)
class Load:
    """So many connections, each with one request after another.

    Attributes:
        kind: an endpoint's name in benchmarks.serving.
        items: texts or clips in a request.
    """

    kind: str
    items: int
    connections: int

    @property
    def name(self) -> str:
        """What it says in the table."""
        noun = "text" if self.kind == "text" else "clip"
        return f"{self.connections} × {self.items} {noun}{'s' * (self.items > 1)}"


GPU_LOADS = (
    *(Load("text", 1, connections) for connections in (1, 32, 128, 256)),
    *(Load("text", 16, 64), Load("text", 256, 16)),
    *(Load("pose", 1, connections) for connections in (1, 32, 128)),
    Load("poses", 256, 8),
)
CPU_LOADS = (Load("text", 1, 1), Load("text", 1, 32), Load("text", 16, 8), Load("pose", 1, 1), Load("pose", 1, 8))


def write_bodies(folder: Path, loads: tuple[Load, ...]) -> dict[tuple[str, int], list[str]]:
    """Files with request bodies, by kind and items."""
    bodies: dict[tuple[str, int], list[str]] = {}
    texts = inputs.short_texts(8192)
    for kind, items in {(load.kind, load.items) for load in loads}:
        if kind == "text":
            bodies[kind, items] = inputs.json_bodies(folder, texts, at_once=items, name=f"texts{items}")
        else:
            path = folder / f"{kind}{items}"
            clips = inputs.reduced_clips(items, FORM_FRAMES) if kind == "poses" else []
            path.write_bytes(inputs.multipart(clips, BOUNDARY) if clips else inputs.house_clip())
            bodies[kind, items] = [str(path)]
    return bodies


def drive(server: Server, load: Load, bodies: list[str], *, seconds: float) -> dict[str, Any]:
    """Run one load: requests and items a second, latencies in milliseconds, statuses, share of all cores."""
    clients = min(CLIENTS, max(1, load.connections // CONNECTIONS_A_CLIENT))
    each = load.connections // clients
    psutil.cpu_percent()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        # Each begins elsewhere among the bodies, so that they do not send the same text at the same moment.
        starts = [number * len(bodies) // clients for number in range(clients)]
        running = [
            stack.enter_context(
                start_load(server, load.kind, bodies[start:] + bodies[:start], concurrency=each, seconds=seconds)
            )
            for start in starts
        ]
        outcomes = [json.loads(process.communicate()[0]) for process in running]
    busy = psutil.cpu_percent() / 100
    latencies = sorted(latency for outcome in outcomes for latency in outcome["latencies_s"]) or [float("nan")]
    statuses: Counter[str] = Counter()
    for outcome in outcomes:
        statuses.update(outcome["statuses"])
    answered = statuses["200"] / max(outcome["wall_s"] for outcome in outcomes)
    return {
        **asdict(load),
        "requests_per_s": answered,
        "items_per_s": answered * load.items,
        "p50_ms": 1000 * statistics.median(latencies),
        "p99_ms": 1000 * latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))],
        "statuses": dict(statuses),
        "cores_share": busy,
        "seconds": time.monotonic() - began,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start the server and run the loads one after another."""
    device = choose_device(options.device)
    loads = CPU_LOADS if device == "cpu" else GPU_LOADS
    seconds = 3.0 if options.quick else 8.0
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "SIGNCLIP_WEIGHTS_DIR": str(inputs.full_size_weights().path),
            "SIGNCLIP_DEVICE": device,
            "SIGNCLIP_DTYPE": options.dtype,
            "SIGNCLIP_LOG_LEVEL": "WARNING",
            # Every load sends the same texts again: with the cache it would measure the cache.
            "SIGNCLIP_TEXT_CACHE_ITEMS": "0",
            # What 16 requests of 256 items ask for at once is more than the service lets wait otherwise.
            "SIGNCLIP_MAX_QUEUE_ITEMS": "16384",
            "SIGNCLIP_MAX_QUEUE_TOKENS": "2097152",
            # All clients have one address.
            "SIGNCLIP_SHARE_OF_ONE_ADDRESS": "1",
            # Nothing listens there: no video comes, and what estimates poses need not be installed.
            "SIGNCLIP_ESTIMATOR_ADDRESS": f"ipc://{folder}/estimators",
        }
        bodies = write_bodies(Path(folder), loads)
        with serving("app:app", workers=options.workers, **settings) as server:
            print(f"ready after {server.ready_s:.1f} s", flush=True)
            for load in loads:
                files = bodies[load.kind, load.items]
                drive(server, load, files, seconds=min(1.0, seconds))  # the budget learns this load's rate
                rows.append(drive(server, load, files, seconds=seconds))
                print(describe(rows[-1]), flush=True)
    return {
        "machine": machine_facts(),
        "device": device,
        "dtype": options.dtype,
        "workers": options.workers,
        "ready_s": server.ready_s,
        "loads": rows,
    }


def describe(row: dict[str, Any]) -> str:
    """One load as a line of the table."""
    name = Load(row["kind"], row["items"], row["connections"]).name
    figures = f"{row['items_per_s']:10.0f}{row['p50_ms']:9.1f}{row['p99_ms']:9.1f}{row['cores_share']:8.0%}"
    return f"{name:24}{figures}   {row['statuses']}"


def render(results: dict[str, Any]) -> str:
    """One line for each load."""
    lines = [f"{'connections × items':24}{'items/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'cores':>8}   statuses"]
    return "\n".join([*lines, *map(describe, results["loads"])])


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three seconds a load instead of eight")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--dtype", default="auto", help="as SIGNCLIP_DTYPE")
    parser.add_argument("--workers", type=int, default=max(1, cores * 3 // 4), help="web workers")
    parser.add_argument("--out", type=Path, help="folder or .json file (default: benchmarks/results)")
    options = parser.parse_args()
    results = measure(options)
    print(render(results))
    write_results("traffic", results, options.out)


if __name__ == "__main__":
    main()
