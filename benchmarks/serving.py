"""Throughput, latency, memory and start of the real server, against the bare forward and the original's way.

    python -m benchmarks.serving [--quick] [--dtype bfloat16] [--out FILE.json]

Everything in one run, ours and the original's in turns: the machine may be noisy, ratios are what counts.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import inputs
from benchmarks.load import Plan
from benchmarks.measuring import machine_facts, write_results

BOUNDARY = "benchmark"


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[bytes]
    port: int
    ready_s: float

    def pss_mib(self) -> float:
        """Proportional set size of all its processes together."""
        parent = psutil.Process(self.process.pid)
        pss_bytes: int = sum(p.memory_full_info().pss for p in [parent, *parent.children(recursive=True)])
        return pss_bytes / 2**20


@contextlib.contextmanager
def serving(application: str, *, workers: int, **settings: str) -> Iterator[Server]:
    """Run gunicorn as the README says, on a free port, until the block ends; it is ready when /readyz says so.

    Raises:
        RuntimeError: it did not start; with the end of its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, **settings, "SIGNCLIP_PORT": str(port)}
    command = [sys.executable, "-m", "gunicorn", "-w", str(workers), application]
    if application != "app:app":
        command += ["-c", "/dev/null", "-b", f"127.0.0.1:{port}", "-t", "300"]
    started = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=inputs.ROOT, env=environment, stdout=log, stderr=log)
        try:
            while not _is_ready(port):
                if process.poll() is not None or time.monotonic() - started > 180:
                    log.seek(0)
                    raise RuntimeError(f"{application} did not start:\n{log.read().decode()[-3000:]}")
                time.sleep(0.02)
            yield Server(process, port, time.monotonic() - started)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def drive(server: Server, kind: str, bodies: list[str], *, concurrency: int, seconds: float) -> dict[str, Any]:
    """Load one endpoint from another process; throughput in requests a second, latencies in milliseconds."""
    with start_load(server, kind, bodies, concurrency=concurrency, seconds=seconds) as load:
        outcome = json.loads(load.communicate()[0])
    latencies = sorted(outcome["latencies_s"]) or [float("nan")]
    return {
        "rate": len(outcome["latencies_s"]) / outcome["wall_s"],
        "p50_ms": 1000 * statistics.median(latencies),
        "p99_ms": 1000 * latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))],
        "statuses": outcome["statuses"],
    }


@contextlib.contextmanager
def start_load(
    server: Server, kind: str, bodies: list[str], *, concurrency: int, seconds: float
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a load in a process of its own, whose output is an Outcome of benchmarks.load as JSON."""
    target, content_type = {
        "text": ("/api/embed/text", "application/json"),
        "pose": ("/api/embed/pose?normalize=false", "application/octet-stream"),
        "poses": ("/api/embed/pose", f"multipart/form-data; boundary={BOUNDARY}"),
    }[kind]
    plan = Plan("127.0.0.1", server.port, target, content_type, bodies, concurrency, seconds)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(asdict(plan), file)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.load", file.name]
        with subprocess.Popen(command, cwd=inputs.ROOT, stdout=subprocess.PIPE) as process:
            yield process


@dataclass(frozen=True)
class Bodies:
    """Files with request bodies."""

    text: list[str]
    texts16: list[str]
    pose: list[str]
    poses256: list[str]


def prepare_bodies(folder: Path) -> Bodies:
    """Write the bodies of all loads into a folder."""
    texts = inputs.short_texts(12_000)
    pose, bulk = folder / "house.pose", folder / "bulk"
    pose.write_bytes(inputs.house_clip())
    bulk.write_bytes(inputs.multipart(inputs.reduced_clips(256, 60), BOUNDARY))
    return Bodies(
        inputs.json_bodies(folder, texts[:8000], at_once=1, name="one"),
        inputs.json_bodies(folder, texts[8000:], at_once=16, name="sixteen"),
        [str(pose)],
        [str(bulk)],
    )


def measure_ours(bodies: Bodies, settings: dict[str, str], *, workers: int, seconds: float) -> dict[str, Any]:
    """Every load at concurrency 1, 8 and 32, then singles beside bulk; with memory before and after, and the start."""
    rows: dict[str, Any] = {}
    with serving("app:app", workers=workers, **settings) as server:
        rows["ready_s"] = server.ready_s
        for concurrency in (1, 8, 32):
            for kind, files in (("text", bodies.text), ("texts16", bodies.texts16), ("pose", bodies.pose)):
                wire = "text" if kind == "texts16" else kind
                rows[f"{kind}@{concurrency}"] = drive(server, wire, files, concurrency=concurrency, seconds=seconds)
            with start_load(server, "pose", bodies.pose, concurrency=concurrency, seconds=seconds) as other:
                rows[f"mixed@{concurrency}"] = drive(
                    server, "text", bodies.text, concurrency=concurrency, seconds=seconds
                )
                rows[f"mixed@{concurrency}"]["poses"] = len(json.loads(other.communicate()[0])["latencies_s"]) / seconds
        with start_load(server, "poses", bodies.poses256, concurrency=1, seconds=2 * seconds) as bulk:
            rows["text beside 256 poses"] = drive(server, "text", bodies.text, concurrency=1, seconds=2 * seconds)
            rows["text beside 256 poses"]["bulk"] = json.loads(bulk.communicate()[0])["statuses"]
        rows["pss_mib"] = server.pss_mib()
    return rows


def measure_original(bodies: Bodies, weights: Path, *, workers: int, seconds: float) -> dict[str, Any]:
    """The original's way: one request at a time in one worker, 8 at a time in four."""
    concurrency = 1 if workers == 1 else 8
    rows: dict[str, Any] = {}
    with serving("benchmarks.original:app", workers=workers, BENCHMARK_WEIGHTS=str(weights)) as server:
        # Each worker loads its copy at its first request.
        drive(server, "text", bodies.text, concurrency=concurrency, seconds=seconds)
        rows["text"] = drive(server, "text", bodies.text, concurrency=concurrency, seconds=2 * seconds)
        rows["pose"] = drive(server, "pose", bodies.pose, concurrency=concurrency, seconds=2 * seconds)
        rows["pss_mib"] = server.pss_mib()
    return rows


def measure_forward(weights: Path, dtype: str) -> dict[str, float]:
    """The bare forward in a process of its own, items a second and one text's seconds; see benchmarks.forward."""
    command = [sys.executable, "-m", "benchmarks.bare", str(weights), dtype]
    return dict(json.loads(subprocess.run(command, cwd=inputs.ROOT, check=True, stdout=subprocess.PIPE).stdout))


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two seconds a measurement instead of eight")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    seconds = 2.0 if options.quick else 8.0
    weights = inputs.full_size_weights().path
    settings = {
        "SIGNCLIP_WEIGHTS_DIR": str(weights),
        "SIGNCLIP_DTYPE": options.dtype,
        "SIGNCLIP_LOG_LEVEL": "WARNING",
        # Every load sends the same texts again: with the cache it would measure the cache.
        "SIGNCLIP_TEXT_CACHE_ITEMS": "0",
        # All loads come from one address, and the mixed one wants every place of one worker.
        "SIGNCLIP_SHARE_OF_ONE_ADDRESS": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        bodies = prepare_bodies(Path(folder))
        with serving("app:app", workers=1, **settings):
            pass  # converts the model, once
        results = {"machine": machine_facts(), "dtype": options.dtype}
        results["forward_before"] = measure_forward(weights, options.dtype)
        results["original 4"] = measure_original(bodies, weights, workers=4, seconds=seconds)
        results["ours 4"] = measure_ours(bodies, settings, workers=4, seconds=seconds)
        results["original 1"] = measure_original(bodies, weights, workers=1, seconds=seconds)
        results["ours 1"] = measure_ours(bodies, settings, workers=1, seconds=seconds)
        results["forward_after"] = measure_forward(weights, options.dtype)
    print(render(results))
    write_results("serving", results, options.out)


def render(results: dict[str, Any]) -> str:
    """The figures as a table, then the ratios that the project promises."""
    ours, one = results["ours 4"], results["ours 1"]
    lines = [f"{'load':24}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}   statuses"]
    for name in ("ours 4", "ours 1", "original 4", "original 1"):
        for load, row in results[name].items():
            if isinstance(row, dict):
                figures = f"{row['rate']:12.2f}{row['p50_ms']:10.1f}{row['p99_ms']:10.1f}"
                lines.append(f"{name + ' ' + load:24}{figures}   {row['statuses']}")
    forward = {
        key: (results["forward_before"][key] + results["forward_after"][key]) / 2 for key in results["forward_before"]
    }
    original4, original1 = results["original 4"], results["original 1"]
    ratios = {
        "texts/s at 32, against the original's four workers": ours["text@32"]["rate"] / original4["text"]["rate"],
        "texts/s at 32, against its one worker": ours["text@32"]["rate"] / original1["text"]["rate"],
        "poses/s at 32, against its four workers": ours["pose@32"]["rate"] / original4["pose"]["rate"],
        "poses/s at 32, against its one worker": ours["pose@32"]["rate"] / original1["pose"]["rate"],
        "texts/s over HTTP / in process": ours["text@32"]["rate"] / forward["texts_per_s"],
        "poses/s over HTTP / in process": ours["pose@32"]["rate"] / forward["poses_per_s"],
        "one text, idle: p50 / bare forward": one["text@1"]["p50_ms"] / forward["one_text_ms"],
        "one text, idle: the original's p50 / ours": original1["text"]["p50_ms"] / one["text@1"]["p50_ms"],
        "memory of 4 workers / 1": ours["pss_mib"] / one["pss_mib"],
        "start to ready, s": ours["ready_s"],
        "p99 of a text beside 256-pose requests, ms": ours["text beside 256 poses"]["p99_ms"],
    }
    lines += ["", *(f"{name:55}{value:10.2f}" for name, value in ratios.items())]
    results["ratios"] = ratios
    return "\n".join(lines)


if __name__ == "__main__":
    main()
