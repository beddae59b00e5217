"""What a request costs outside of its forward pass: the real server with a stand-in for the device.

    python -m benchmarks.frontdoor [--quick] [--device instant,h200] [--workers 2] [--only NAME,…] [--out DIR]

The real gunicorn, web workers and engine process; only the model's forward pass is replaced (see
benchmarks.frontdoor_engine). "instant" answers at once: then CPU microseconds of an item in the engine and in the web
workers are what the way to the device and back costs. "h200" takes an H200's time: then the share of time in which the
device was idle although items waited says how well the engine keeps it busy.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors.numpy import save_file

from benchmarks import inputs
from benchmarks.frontdoor_engine import MODEL
from benchmarks.measuring import machine_facts, write_results
from benchmarks.serving import Server, serving
from benchmarks.traffic import Load, drive, write_bodies
from engine.settings import EngineSettings
from models.catalog import load_catalog
from models.checkpoints.folders import TEXT_WORDS, WeightsFolder
from models.tokenization import load_tokenizer

# A form of 256 clips has 51 MB, so 128 of them at once would measure the memory of the machine.
LOADS = (
    *(Load("text", 1, connections) for connections in (1, 32, 128)),
    *(Load("text", 16, connections) for connections in (1, 32, 128)),
    *(Load("text", 256, connections) for connections in (1, 32, 128)),
    *(Load("pose", 1, connections) for connections in (1, 32, 128)),
    *(Load("poses", 256, connections) for connections in (1, 4)),
)


@dataclass(frozen=True)
class EngineProcess:
    """The engine's process, and the file that it writes at its end."""

    process: subprocess.Popen[bytes]
    address: str
    report: Path


def make_weights(folder: Path) -> Path:
    """Make a weights folder whose default model has a tokenizer and nothing else that a forward pass would need."""
    weights = WeightsFolder(folder)
    config = load_catalog()[MODEL]
    tokenizer = folder / "tokenizers" / config.tokenizer
    tokenizer.parent.mkdir(parents=True)
    tokenizer.symlink_to(inputs.GOLDEN / "tokenizer")
    path = weights.locate_converted(config)
    path.parent.mkdir(parents=True)
    rows = load_tokenizer(tokenizer, config.lowercase).vocab_size
    save_file({TEXT_WORDS: np.zeros((rows, 1), dtype=np.float32)}, path, metadata={"digest": "0" * 64})
    return folder


@contextlib.contextmanager
def running_engine(folder: Path, weights: Path, device: str) -> Iterator[EngineProcess]:
    """Run an engine on a stand-in device until the block ends."""
    address, report = f"ipc://{folder}/{device}.sock", folder / f"{device}.json"
    settings = EngineSettings(
        weights_dir=weights,
        default_model=MODEL,
        device="cpu",
        # Every load sends the same texts again: with the cache it would measure the cache.
        text_cache_items=0,
        # What 128 requests of 256 items ask for at once is more than the service lets wait otherwise.
        max_queue_items=65536,
        max_queue_tokens=8_388_608,
        batch_ms=50,  # as on a GPU
    )
    command = [sys.executable, "-m", "benchmarks.frontdoor_engine", address, device, str(report), settings.to_json()]
    process = subprocess.Popen(command, cwd=inputs.ROOT)
    try:
        yield EngineProcess(process, address, report)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def measure_device(device: str, loads: tuple[Load, ...], *, workers: int, seconds: float) -> dict[str, Any]:
    """Run the loads on one stand-in device."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = make_weights(folder / "weights")
        bodies = write_bodies(folder, loads)
        with contextlib.ExitStack() as stack:
            engine = stack.enter_context(running_engine(folder, weights, device))
            settings = {
                "SIGNCLIP_WEIGHTS_DIR": str(weights),
                "SIGNCLIP_DEFAULT_MODEL": MODEL,
                "SIGNCLIP_ENGINE_ADDRESS": engine.address,
                # Nothing listens there: no video comes, and what estimates poses need not be installed.
                "SIGNCLIP_ESTIMATOR_ADDRESS": f"ipc://{folder}/estimators",
                "SIGNCLIP_LOG_LEVEL": "WARNING",
                "SIGNCLIP_MAX_QUEUE_ITEMS": "65536",
                "SIGNCLIP_MAX_QUEUE_TOKENS": "8388608",
                "SIGNCLIP_MAX_REQUESTS": "256",
            }
            server = stack.enter_context(serving("app:app", workers=workers, **settings))
            for load in loads:
                files = bodies[load.kind, load.items]
                drive(server, load, files, seconds=min(1.0, seconds))
                rows.append(measure_load(server, engine, load, files, seconds=seconds))
                print(describe(rows[-1]), flush=True)
        return {"loads": rows, "device": json.loads(engine.report.read_text(encoding="utf-8"))}


def measure_load(
    server: Server, engine: EngineProcess, load: Load, bodies: list[str], *, seconds: float
) -> dict[str, Any]:
    """Run one load, and count the CPU time of the engine and of the web workers."""
    engine_process = psutil.Process(engine.process.pid)
    workers = psutil.Process(server.process.pid).children(recursive=True)
    before_s = _cpu_s(engine_process), sum(map(_cpu_s, workers))
    row = drive(server, load, bodies, seconds=seconds)
    after_s = _cpu_s(engine_process), sum(map(_cpu_s, workers))
    items = row["statuses"].get("200", 0) * load.items
    engine_us, workers_us = (
        1e6 * (after - before) / max(1, items) for before, after in zip(before_s, after_s, strict=True)
    )
    return {**row, "engine_us_an_item": engine_us, "workers_us_an_item": workers_us}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


HEADING = f"{'connections × items':22}{'requests/s':>11}{'items/s':>9}{'p50 ms':>9}{'engine µs':>11}{'workers µs':>12}"


def describe(row: dict[str, Any]) -> str:
    """One load as a line of the table."""
    name = Load(row["kind"], row["items"], row["connections"]).name
    rates = f"{row['requests_per_s']:11.0f}{row['items_per_s']:9.0f}{row['p50_ms']:9.1f}"
    costs = f"{row['engine_us_an_item']:11.1f}{row['workers_us_an_item']:12.0f}"
    return f"{name:22}{rates}{costs}   {row['statuses']}"


def render(results: dict[str, Any]) -> str:
    """The figures of all devices as tables."""
    lines = []
    for device, measured in results["devices"].items():
        lines += ["", device, HEADING, *map(describe, measured["loads"])]
        facts = measured["device"]
        if facts["busy_s"]:
            share = facts["starved_s"] / (facts["busy_s"] + facts["starved_s"])
            lines.append(
                f"busy {facts['busy_s']:.1f} s, idle although items waited {facts['starved_s']:.1f} s ({share:.1%}); "
                f"{facts['items'] / max(1, facts['batches']):.1f} items a batch"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two seconds a load instead of six")
    parser.add_argument("--device", default="instant,h200", help="stand-ins, with commas (default: both)")
    parser.add_argument("--workers", type=int, default=2, help="web workers")
    parser.add_argument("--only", default="", help="loads as 32x1text or 4x256clip, with commas (default: all)")
    parser.add_argument("--out", type=Path, help="folder or .json file (default: benchmarks/results)")
    options = parser.parse_args()
    wanted = set(filter(None, options.only.split(",")))
    loads = tuple(load for load in LOADS if not wanted or _short(load) in wanted)
    if len(loads) < len(wanted):
        parser.error(f"there are {', '.join(map(_short, LOADS))}")
    seconds = 2.0 if options.quick else 6.0
    began = time.monotonic()
    devices = {}
    for device in options.device.split(","):
        print(f"{device}\n{HEADING}", flush=True)
        devices[device] = measure_device(device, loads, workers=options.workers, seconds=seconds)
    results = {"machine": machine_facts(), "workers": options.workers, "devices": devices}
    print(render(results), f"\n{time.monotonic() - began:.0f} s")
    write_results("frontdoor", results, options.out)


def _short(load: Load) -> str:
    return f"{load.connections}x{load.items}{'text' if load.kind == 'text' else 'clip'}"


if __name__ == "__main__":
    main()
