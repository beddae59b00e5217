"""Hostile inputs for everything that takes bytes from outside, by the hundred thousand.

    python -m benchmarks.fuzz [--inputs 250000] [--only json,poses] [--seed 0] [--keep FOLDER] [--out FILE.json]

Good inputs are damaged, and sent to routes, readers of files, and the protocols between processes. Each target runs in
a process of its own. A fault is an exception or an answer without a name of its own, an input that takes 10 s of a
core or waits for three minutes, a process that dies, or memory that grows with the number of inputs. The input of each
fault is kept in a file. The exit status is 1 if there was a fault.
"""

import argparse
import faulthandler
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks import inputs
from benchmarks.fuzzing import files, protocols, routes, wire
from benchmarks.fuzzing.targets import FaultError, Send, Target
from benchmarks.measuring import machine_facts, write_results

TARGETS = {target.name: target for target in (*routes.TARGETS, *files.TARGETS, *protocols.TARGETS, *wire.TARGETS)}
# No input here is work for a second of a core.
LONGEST_S = 10.0
# Without work, as where two ends wait for each other. A busy machine gives a process its core back before that.
LONGEST_WAIT_S = 180.0
# Caches, arenas and code that is loaded late fill up first. What grows after this share of the inputs goes on growing.
_WARM_SHARE = 0.4
# Two arenas of glibc. A leak of 1 KB an input would be more after 32,000 inputs.
_MOST_GROWTH_BYTES = 32 * 1024 * 1024
# Faults of one kind fill no disk.
_MOST_FAULTS = 20
_MOST_DEATHS = 10


@dataclass
class Findings:
    """What came of the inputs of one target.

    Attributes:
        outcomes: how often which answer or error came.
        faults: what broke a promise, by its first line, and how often.
        growth_bytes: by which the process grew after it was warm.
        slowest_s: the most seconds of a core that an input took.
        deaths: processes that died on an input, where the service expects that.
    """

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    growth_bytes: int = 0
    slowest_s: float = 0.0
    seconds: float = 0.0
    deaths: int = 0

    def add(self, other: "Findings") -> None:
        """Add what another process found."""
        self.inputs += other.inputs
        self.outcomes.update(other.outcomes)
        self.faults.update(other.faults)
        self.growth_bytes = max(self.growth_bytes, other.growth_bytes)
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.seconds += other.seconds
        self.deaths += other.deaths


def fuzz(target: Target, *, count: int, seed: str, keep: Path, dies: bool = True) -> Findings:
    """Send inputs to a target in this process.

    Args:
        count: of inputs.
        seed: the same seed makes the same inputs.
        keep: folder for the input that is under way, and for those of faults.
        dies: whether to end this process, with the places of all threads, when an input takes too long.
    """
    found = Findings()
    rng = random.Random(f"{target.name} {seed}")
    try:
        with target.open() as (make, send), (keep / f"{target.name}.last").open("wb", buffering=0) as last:
            began, warm_bytes = time.monotonic(), 0
            for number in range(count):
                if number == int(count * _WARM_SHARE):
                    warm_bytes = _measure_memory()
                data = make(rng)
                # Whatever ends this process, the input that did it can be sent again.
                os.ftruncate(last.fileno(), 0)
                os.pwrite(last.fileno(), data, 0)
                if dies:
                    faulthandler.dump_traceback_later(LONGEST_WAIT_S, exit=True)
                _send_one(found, send, data, keep=keep / target.name)
                faulthandler.cancel_dump_traceback_later()
            found.growth_bytes = _measure_memory() - warm_bytes
            found.seconds = time.monotonic() - began
    except FaultError as error:
        found.faults[f"at the end: {error}"] += 1
    if found.growth_bytes > _MOST_GROWTH_BYTES:
        found.faults[f"the process grew by {found.growth_bytes / 1e6:.0f} MB"] += 1
    return found


def _send_one(found: Findings, send: Send, data: bytes, *, keep: Path) -> None:
    started = time.process_time()
    try:
        outcome = send(data)
    except Exception as error:  # noqa: BLE001  whatever it is, it is what was looked for
        outcome = "fault"
        found.faults[f"{type(error).__name__}: {error}"[:800]] += 1
        number = sum(found.faults.values())
        if number <= _MOST_FAULTS:
            keep.with_name(f"{keep.name}.fault-{number}").write_bytes(data)
    took_s = time.process_time() - started
    if took_s > LONGEST_S:
        found.faults[f"an input took {took_s:.0f} s of a core"] += 1
    found.slowest_s = max(found.slowest_s, took_s)
    found.inputs += 1
    found.outcomes[outcome] += 1


def _measure_memory() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def fuzz_apart(target: Target, *, count: int, seed: str, keep: Path) -> Findings:
    """Send inputs to a target in a process of its own, and in another one for the rest if that dies.

    Raises:
        RuntimeError: the target does not start.
    """
    found = Findings()
    while found.inputs < count:
        report = keep / f"{target.name}.json"
        report.unlink(missing_ok=True)
        (keep / f"{target.name}.last").unlink(missing_ok=True)
        left = count - found.inputs
        command = [sys.executable, "-m", "benchmarks.fuzz", "--target", target.name, "--inputs", str(left)]
        command += ["--seed", f"{seed}.{found.deaths}", "--keep", str(keep)]
        ended = subprocess.run(command, cwd=inputs.ROOT, check=False, stderr=subprocess.PIPE, text=True)
        if report.is_file():
            read = json.loads(report.read_text(encoding="utf-8"))
            found.add(Findings(**{**read, "outcomes": Counter(read["outcomes"]), "faults": Counter(read["faults"])}))
            break
        last = keep / f"{target.name}.last"
        if not last.is_file():
            raise RuntimeError(f"the target {target.name} does not start: {ended.stderr[-2000:]}")
        found.deaths += 1
        last.replace(keep / f"{target.name}.death-{found.deaths}")
        reason = f"a process ended with {ended.returncode}: {ended.stderr[-600:]}"
        print(f"{target.name}: {reason}", file=sys.stderr)
        if not target.dies_alone:
            found.faults[reason] += 1
        if found.deaths == _MOST_DEATHS:
            break
    return found


def choose_counts(names: Sequence[str], total: int) -> dict[str, int]:
    """Share inputs out among targets."""
    shares = sum(TARGETS[name].share for name in names)
    return {name: max(1, total * TARGETS[name].share // shares) for name in names}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print and write what was found. The exit status is 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=250_000, help="of all targets together")
    parser.add_argument("--only", default=",".join(TARGETS), help=f"targets, with commas, of {', '.join(TARGETS)}")
    parser.add_argument("--seed", default="0", help="the same seed makes the same inputs")
    parser.add_argument("--keep", type=Path, help="folder for the inputs of faults (default: one that is removed)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--target", choices=TARGETS, help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args(arguments)
    if options.target:
        found = fuzz(TARGETS[options.target], count=options.inputs, seed=options.seed, keep=options.keep)
        (options.keep / f"{options.target}.json").write_text(json.dumps(vars(found)), encoding="utf-8")
        return 0
    names = options.only.split(",")
    if unknown := set(names) - set(TARGETS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {}
        for name, count in choose_counts(names, options.inputs).items():
            found = fuzz_apart(TARGETS[name], count=count, seed=options.seed, keep=keep)
            results[name] = vars(found)
            print(describe(name, found), flush=True)
    faults = sum(sum(found["faults"].values()) for found in results.values())
    total = sum(found["inputs"] for found in results.values())
    print(f"{total} inputs, {faults} faults")
    write_results("fuzz", {"machine": machine_facts(), "seed": options.seed, "targets": results}, options.out)
    return 1 if faults else 0


def describe(name: str, found: Findings) -> str:
    """What one target came to, as a line, and its faults below."""
    most = ", ".join(f"{count} {outcome}" for outcome, count in found.outcomes.most_common(4))
    line = (
        f"{name:18}{found.inputs:8} in {found.seconds:6.0f} s, slowest {found.slowest_s:5.2f} s, "
        f"grew {found.growth_bytes / 1e6:5.1f} MB, {found.deaths} deaths: {most}"
    )
    return "\n".join([line, *(f"    {count} × {fault}" for fault, count in found.faults.most_common(10))])


if __name__ == "__main__":
    sys.exit(main())
