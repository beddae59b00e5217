"""Bulk runs that are killed at random points, and what is done twice for it.

    python -m benchmarks.bulk_kills [--kills N] [--clips N] [--ray] [--seed N] [--out DIR]

A run over clips, some of which are videos and some broken, is killed with SIGKILL: the driver, or one of its processes
(with --ray also an actor, or the node's raylet). Then the same command goes on. At the end the rows must be those of a
run that nobody disturbed, each once.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from benchmarks.bulk_inputs import ROOT, write_clips
from benchmarks.bulk_kills_child import NOTES
from benchmarks.measuring import machine_facts, write_results

MODEL = "fingerspelling"
MOST_REPEATED = 0.02
"""Share of the clips that may be prepared again for each kill."""


def main(arguments: list[str] | None = None) -> int:
    """Measure as the command line says; exit status 1: a row is missing, is there twice, or too much is repeated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="3 kills, 300 clips")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    kills, clips = (3, 300) if options.quick else (options.kills, options.clips)
    with tempfile.TemporaryDirectory(prefix="signclip-kills-") as folder:
        manifest = write_clips(Path(folder), clips)
        undisturbed = Disturbed(manifest, Path(folder, "undisturbed"), on_ray=False)
        seconds = undisturbed.run(None)
        disturbed = Disturbed(manifest, Path(folder, "killed"), on_ray=options.ray)
        rng = random.Random(options.seed)
        killed = [disturbed.run(kill_after_s) for kill_after_s in _draw_moments(rng, kills, seconds)]
        disturbed.run(None)
        results = _compare(undisturbed, disturbed, clips=clips, kills=len(killed))
    print(json.dumps(results, indent=1))
    write_results("bulk_kills", {"machine": machine_facts(), **results}, options.out)
    return int(not results["same_rows"] or results["repeated_a_kill"] > MOST_REPEATED)


class Disturbed:
    """A run that is started again and again in one folder."""

    def __init__(self, manifest: Path, out: Path, *, on_ray: bool) -> None:
        self.out, self.notes = out, out.with_suffix(".notes")
        self._rng = random.Random(str(out))
        self._on_ray = on_ray
        self.victims: list[str] = []
        self._command = [sys.executable, "-m", "benchmarks.bulk_kills_child", str(manifest), "--model", MODEL]
        self._command += ["--out", str(out), "--jobs", "2", *["--ray"] * on_ray]

    def run(self, kill_after_s: float | None) -> float:
        """Run until the end, or kill a process after some seconds of work; returns how long it ran."""
        started = time.monotonic()
        environment = {**os.environ, NOTES: str(self.notes), "RAY_worker_niceness": "0"}
        process = subprocess.Popen(self._command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        if kill_after_s is not None:
            before = self._measure_written()
            while process.poll() is None and self._measure_written() == before:  # it loads its model first
                time.sleep(0.05)
            time.sleep(kill_after_s)
            self._kill(process)
        process.wait()
        return time.monotonic() - started

    def count_notes(self) -> int:
        """Count the clips that were prepared so far, those that were prepared twice as two."""
        return self.notes.read_bytes().count(b"\n") if self.notes.exists() else 0

    def _measure_written(self) -> int:
        """Measure the bytes of rows that are safe."""
        files = [*self.out.glob(".journal-*"), *self.out.glob("vectors/part-*")]
        return sum(file.stat().st_size for file in files if file.exists())

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the driver or one of its processes."""
        with suppress(psutil.Error):
            children = list(_list_workers(psutil.Process(process.pid)))
            victim = self._rng.choice([psutil.Process(process.pid), *children])
            self.victims.append(" ".join(victim.cmdline()[:3])[-60:] or victim.name())
            victim.send_signal(signal.SIGKILL)


def _list_workers(driver: psutil.Process) -> Iterator[psutil.Process]:
    """List the processes of a run: those that prepare clips, actors of Ray and its raylet."""
    for child in driver.children(recursive=True):
        with suppress(psutil.Error):
            words = " ".join(child.cmdline())
            if any(mark in words for mark in ("spawn_main", "video.worker", "ray::MapWorker", "raylet/raylet")):
                yield child


def _draw_moments(rng: random.Random, kills: int, seconds: float) -> Iterator[float]:
    """Draw the moments of kills so that together they lie within the time that a run takes."""
    for _ in range(kills):
        yield rng.uniform(0, 2 * seconds / kills)


def _compare(undisturbed: Disturbed, disturbed: Disturbed, *, clips: int, kills: int) -> dict[str, Any]:
    expected, found = _read(undisturbed.out), _read(disturbed.out)
    # Ray's actors prepare clips in processes that note nothing.
    repeated = max(0, disturbed.count_notes() - undisturbed.count_notes())
    return {
        "clips": clips,
        "kills": kills,
        "victims": disturbed.victims,
        "rows": len(found["rows"]),
        "failed": len(found["failed"]),
        "same_rows": found == expected and len(found["rows"]) == len(set(found["rows"])),
        "repeated": repeated,
        "repeated_a_kill": repeated / kills / clips,
    }


def _read(out: Path) -> dict[str, list[str]]:
    """Read the ids of a folder's rows and of its failures."""
    shards = [pq.read_table(path, columns=["id"]) for path in sorted((out / "vectors").glob("*.parquet"))]
    failed = pq.read_table(out / "failed.parquet", columns=["id"])
    return {
        "rows": sorted(row for shard in shards for row in shard.column("id").to_pylist()),
        "failed": sorted(failed.column("id").to_pylist()),
    }


if __name__ == "__main__":
    sys.exit(main())
