"""Bulk runs: clips a second beside the bare forward, memory over many rows, growth with texts, reading a long manifest.

    python -m benchmarks.bulk [--quick] [--clips N] [--rows N] [--ray N …] [--out DIR]

The bare case reads, computes features and embeds in this process, without reports on clips, files or other processes.
Every run is a process of its own, whose start is not counted but for the growth with texts.
"""

import argparse
import csv
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bulk_inputs import COLUMNS, ROOT, write_clips, write_texts
from benchmarks.measuring import machine_facts, write_results
from bulk.embedding import BulkModel
from bulk.manifests import open_manifest
from bulk.options import EmbedOptions
from bulk.preparation import Preparer, Task
from models.embedding import CLIPS_READ_AHEAD

MODEL = "fingerspelling"
_MIB = 1024**2
_LOOK_S = 0.2


def main() -> int:
    """Measure as the command line says, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows: to see that it runs, not to quote")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the run whose memory is watched")
    parser.add_argument("--only", choices=("clips", "memory", "texts", "reading"), help="one part alone")
    parser.add_argument("--ray", type=int, nargs="*", default=[], metavar="N", help="numbers of actors on Ray")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    clips, rows = (200, 1000) if options.quick else (options.clips, options.rows)
    results: dict[str, Any] = {"machine": machine_facts(), "model": MODEL}
    with tempfile.TemporaryDirectory(prefix="signclip-bulk-benchmark-") as folder:
        place = Path(folder)
        manifest = write_clips(place / "data", clips, videos=False)
        parts: dict[str, Callable[[], Any]] = {
            "clips": lambda: measure_clips(manifest, place, options.ray),
            "memory": lambda: measure_memory(_repeat(manifest, rows), place / "long"),
            "texts": lambda: measure_texts(place, (100, 1000) if options.quick else (1000, 10_000, 100_000)),
            "reading": lambda: measure_reading(place, 10_000 if options.quick else 1_000_000),
        }
        for name, measure in parts.items():
            if options.only in (None, name):
                results[name] = measure()
    write_results("bulk", results, options.out)
    return 0


def measure_clips(manifest: Path, place: Path, actors: Sequence[int]) -> dict[str, dict[str, float]]:
    """Measure the bare forward, runs on this machine, and runs on Ray: clips a second, and processor time of a clip."""
    found = {"bare": measure_bare(manifest)}
    for name, more in (
        ("default", []),
        ("default, no reports", ["--no-quality"]),
        *((f"ray, {count} actors", ["--ray", "--jobs", str(count)]) for count in actors),
    ):
        found[name] = run(manifest, place / name.replace(" ", "-"), *more)
    for name, figures in found.items():
        share = 100 * figures["rate"] / found["bare"]["rate"]
        each_ms = 1000 * figures["cpu_s"] / figures["rows"]
        print(
            f"{name:24} {figures['rate']:8.1f} clips/s {share:6.1f} % of the bare forward, {each_ms:6.2f} ms of a core"
        )
    return found


def measure_bare(manifest: Path) -> dict[str, float]:
    """Measure one process that reads and embeds clips and does nothing else."""
    options = EmbedOptions(quality=False)
    model = BulkModel(MODEL, options)
    preparer = Preparer(model.config, options)
    items = list(open_manifest(manifest).read_items())
    started, used = time.perf_counter(), time.process_time()
    for start in range(0, len(items), CLIPS_READ_AHEAD):
        tasks = [Task(item.source) for item in items[start : start + CLIPS_READ_AHEAD]]
        prepared = [preparer.prepare(task, lambda: None) for task in tasks]
        model.embed_clips([clip.features for clip in prepared if clip.features is not None])
    seconds = time.perf_counter() - started
    return {"rows": len(items), "rate": len(items) / seconds, "cpu_s": time.process_time() - used}


def run(source: Path, out: Path, *more: str) -> dict[str, float]:
    """Run the command, and watch it.

    Returns:
        `rate`: rows a second from the first row that was written to the end; `seconds`: of the whole process; `cpu_s`:
        processor time of all its processes, their start included;
        `early_mib`, `late_mib`: memory of all its processes at most, in the first and in the second half.
    Raises:
        RuntimeError: the command failed.
    """
    command = [sys.executable, "-m", "bulk", str(source), "--model", MODEL, "--out", str(out), *more]
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    started, used = time.monotonic(), _measure_used_s()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    memory: list[float] = []
    watching = threading.Thread(target=_watch_memory, args=(process.pid, memory))
    watching.start()
    first = None
    while process.poll() is None:
        if first is None and _count_bytes(out):
            first = time.monotonic()
        time.sleep(0.01 if first is None else _LOOK_S)
    watching.join()
    ended = time.monotonic()
    if process.returncode not in (0, 1):
        raise RuntimeError(f"the run ended with status {process.returncode}")
    rows = sum(1 for _ in source.open("rb")) - 1
    half = len(memory) // 2
    return {
        "rows": rows,
        "rate": rows / (ended - (first or started)),
        "seconds": ended - started,
        "cpu_s": _measure_used_s() - used,
        "early_mib": max(memory[: half + 1], default=0),
        "late_mib": max(memory[half:], default=0),
    }


def measure_memory(manifest: Path, out: Path) -> dict[str, float]:
    """Watch the memory of a long run: the second half must need no more than the first."""
    found = run(manifest, out)
    print(
        f"{found['rows']:,.0f} rows: {found['early_mib']:.0f} MiB at most in the first half, "
        f"{found['late_mib']:.0f} MiB in the second; {found['rate']:.1f} rows/s",
        flush=True,
    )
    return found


def measure_texts(place: Path, counts: Sequence[int]) -> list[dict[str, float]]:
    """Measure time and memory of runs over more and more texts."""
    found = []
    for count in counts:
        figures = run(write_texts(place / f"texts-{count}.csv", count), place / f"texts-{count}")
        memory = max(figures["early_mib"], figures["late_mib"])
        print(
            f"{count:>9,} texts: {figures['seconds']:8.1f} s, {figures['cpu_s']:8.1f} s of a core, {memory:6.0f} MiB",
            flush=True,
        )
        found.append(figures)
    return found


def measure_reading(place: Path, count: int) -> dict[str, float]:
    """Measure the time and the memory that reading a long manifest takes, without embedding it."""
    manifest = open_manifest(write_texts(place / "long.csv", count))
    process = psutil.Process()
    before, started = process.memory_info().rss, time.perf_counter()
    most = 0
    for number, _ in enumerate(manifest.read_items()):
        if number % 50_000 == 0:
            most = max(most, process.memory_info().rss - before)
    seconds = time.perf_counter() - started
    print(f"{count:>9,} rows read in {seconds:.1f} s, {most / _MIB:.1f} MiB more at most", flush=True)
    return {"rows": count, "seconds": seconds, "more_mib": most / _MIB}


def _repeat(manifest: Path, rows: int) -> Path:
    """Write a manifest of more rows over the same clips, each with an id of its own."""
    with manifest.open(newline="", encoding="utf-8") as file:
        known = list(csv.DictReader(file))
    longer = manifest.with_name("longer.csv")
    with longer.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, row in zip(range(rows), itertools.cycle(known), strict=False):
            writer.writerow([f"row-{number}", *(row[name] for name in COLUMNS[1:])])
    return longer


def _count_bytes(out: Path) -> int:
    return sum(path.stat().st_size for path in (*out.glob(".journal-*"), *out.glob("vectors/part-*")) if path.exists())


def _measure_used_s() -> float:
    """Measure the processor time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch_memory(pid: int, memory: list[float]) -> None:
    """Sum the memory of a process and of its children, shared pages by their share, until it ends."""
    try:
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for one in (process, *process.children(recursive=True)):
                try:
                    total += one.memory_full_info().pss
                except psutil.Error:
                    continue
            memory.append(total / _MIB)
            time.sleep(_LOOK_S)
    except psutil.Error:
        return


if __name__ == "__main__":
    sys.exit(main())
