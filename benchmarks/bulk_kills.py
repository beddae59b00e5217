"""Bulk runs that are killed at random points, and what is done twice for it.

    python -m benchmarks.bulk_kills [--kills N] [--clips N] [--ray] [--victim NAME] [--seed N] [--out DIR]

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
from bulk.journal import read_journal

MODEL = "fingerspelling"
_LOOK_S = 0.05
# What processes of a run are, by a part of their command lines.
_WORKERS = {
    "spawn_main": "process that prepares clips",
    "video.worker": "process that tracks videos",
    "ray::MapWorker": "actor of Ray",
    "raylet/raylet": "raylet",
}
MOST_REPEATED = 0.02
"""Share of the clips that may be prepared again for each kill."""


def main(arguments: list[str] | None = None) -> int:
    """Measure as the command line says; exit status 1: a row is missing, is there twice, or too much is repeated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument(
        "--victim", choices=["driver", *_WORKERS.values()], help="kill this kind of process alone (default: any)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="3 kills, 300 clips")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    kills, clips = (3, 300) if options.quick else (options.kills, options.clips)
    with tempfile.TemporaryDirectory(prefix="signclip-kills-") as folder:
        manifest = write_clips(Path(folder), clips)
        undisturbed = Disturbed(manifest, Path(folder, "undisturbed"), on_ray=False, seed=options.seed)
        undisturbed.finish()
        disturbed = Disturbed(manifest, Path(folder, "killed"), on_ray=options.ray, seed=options.seed)
        for rows in sorted(random.Random(options.seed).sample(range(clips), kills)):
            disturbed.kill_at(rows, options.victim)
        disturbed.finish()
        results = _compare(undisturbed, disturbed, clips=clips, kills=kills)
    print(json.dumps(results, indent=1))
    write_results("bulk_kills", {"machine": machine_facts(), **results}, options.out)
    return int(not results["same_rows"] or results["repeated_a_kill"] > MOST_REPEATED)


class Disturbed:
    """A run that is started again and again in one folder."""

    def __init__(self, manifest: Path, out: Path, *, on_ray: bool, seed: int) -> None:
        self.out, self.notes = out, out.with_suffix(".notes")
        self.victims: list[str] = []
        self._rng = random.Random(seed)
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [sys.executable, "-m", "benchmarks.bulk_kills_child", str(manifest), "--model", MODEL]
        self._command += ["--out", str(out), "--jobs", "2", *["--ray"] * on_ray]

    def kill_at(self, rows: int, kind: str | None = None) -> None:
        """Kill a process of the run as soon as so many rows are safe; start the run first, if none is running.

        Args:
            kind: what the process must be; None: anything.
        """
        process = self._get_running()
        while process.poll() is None and self.count_rows() <= rows:
            time.sleep(_LOOK_S)
        with suppress(psutil.Error):
            driver = psutil.Process(process.pid)
            living = [(driver, "driver"), *_list_workers(driver)]
            wanted = [one for one in living if kind in (None, one[1])]
            if not wanted:  # it has ended, or its work has
                return
            victim, name = self._rng.choice(wanted)
            self.victims.append(name)
            victim.send_signal(signal.SIGKILL)
            if victim == driver:
                process.wait()

    def finish(self) -> None:
        """Let the run end by itself, and start it once more, if it was ended by the last kill."""
        if self._process is not None:
            self._process.wait()
            self._process = None
        self._get_running().wait()

    def count_rows(self) -> int:
        """Count the rows that are safe."""
        rows = 0
        with suppress(FileNotFoundError):  # the journal has just become a shard
            rows += sum(int(pq.read_metadata(path).num_rows) for path in self.out.glob("vectors/part-*"))
            rows += sum(int(table.num_rows) for path in self.out.glob(".journal-*") for table in read_journal(path))
        return rows

    def count_notes(self) -> int:
        """Count the clips that were prepared so far, those that were prepared twice as two."""
        return self.notes.read_bytes().count(b"\n") if self.notes.exists() else 0

    def _get_running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            environment = {**os.environ, NOTES: str(self.notes), "RAY_worker_niceness": "0"}
            log = self.out.with_suffix(".log").open("ab")
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            log.close()
        return self._process


def _list_workers(driver: psutil.Process) -> Iterator[tuple[psutil.Process, str]]:
    """List the processes of a run that may be killed, each with what it is."""
    for child in driver.children(recursive=True):
        with suppress(psutil.Error):
            name = name_process(" ".join(child.cmdline()))
            if name is not None:
                yield child, name


def name_process(command: str) -> str | None:
    """Say what a process of a run is, by its command line; None for one that is not killed."""
    return next((name for mark, name in _WORKERS.items() if mark in command), None)


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
