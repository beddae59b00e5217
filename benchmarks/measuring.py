"""What benchmarks share: taking turns, the machine they ran on, and where their figures go."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from processes.version import find_commit, find_package_versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("torch", "transformers", "openvino", "numpy")


def take_turns(
    cases: Mapping[str, Callable[[], object]], *, rounds: int, limit_s: float, visit_s: float = 0.15
) -> dict[str, float]:
    """Time cases in turns (A B A B), so that a slow moment of the machine does not fall on one of them alone.

    Args:
        cases: by name; each is called once before the first round, which compiles and fills caches.
        rounds: visits to each case.
        limit_s: no further round starts after this long.
        visit_s: a visit repeats a fast case for this long.
    Returns:
        Median seconds of one call, by name.
    """
    for case in cases.values():
        case()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    began = time.perf_counter()
    for done in range(rounds):
        if done and time.perf_counter() - began > limit_s:
            break
        for name, case in cases.items():
            visited = time.perf_counter()
            while True:
                started = time.perf_counter()
                case()
                ended = time.perf_counter()
                seconds[name].append(ended - started)
                if ended - visited >= visit_s:
                    break
    return {name: statistics.median(times) for name, times in seconds.items()}


def machine_facts() -> dict[str, Any]:
    """Commit, date, processor, cores, memory and versions: what a figure means nothing without."""
    commit, changed = find_commit()
    facts: dict[str, Any] = {
        "commit": commit,
        "uncommitted_changes": changed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        # Above the number of cores, others were at work on the machine and absolute figures are too low.
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
    }
    return facts | find_package_versions(PACKAGES)


def measure_peak_bytes() -> int:
    """Measure the most memory that this process has taken since its program began, in bytes.

    The system's own figure (ru_maxrss of getrusage) also counts what the process that started this one held at that
    moment, because a child begins as its copy.

    Raises:
        OSError: this system does not say.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024  # in kB, by which Linux means 1,024 bytes
    raise OSError("/proc/self/status has no VmHWM, from which the peak of memory is read")


def write_results(name: str, results: Mapping[str, Any], out: Path | None = None) -> Path:
    """Write figures as JSON and say where.

    Args:
        out: a file that ends in .json, or a folder for `<name>-<time>.json`; None: benchmarks/results.
    """
    path = out or RESULTS
    if path.suffix != ".json":
        path = path / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten to {path}")
    return path


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
