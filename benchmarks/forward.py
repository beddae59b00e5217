"""The forward of the full-size model, by backend, number format and batch: against the machine and the original's way.

    python -m benchmarks.forward [--quick] [--out DIR] [--device cuda] [--batches 1,8,32]

Short texts (8 positions), clips of 73 frames (75 positions) and clips of mixed lengths (20 to 256 frames), through the
same code that serves them, from NumPy arrays to NumPy arrays. A share is of the fastest matrix product of that number
format in this run. A ratio is to what the original does for each request: both towers, text and clip padded to the full
length, one request at a time, in float32.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import products
from benchmarks.forward_cases import (
    LOADS,
    Forward,
    backends,
    formats,
    items_for,
    load,
    make_cases,
    operations,
    original_way,
)
from benchmarks.inputs import full_size_weights
from benchmarks.measuring import machine_facts, take_turns, write_results
from models.backends.choice import choose_device
from models.catalog import ModelConfig, load_catalog
from models.embedding import EmbeddingModel
from models.vectors import Vectors, normalize_vectors

BATCHES = {"cpu": (1, 8, 32), "cuda": (1, 32, 128, 512, 1024)}
# Smaller batches run as captured forwards, whose copies are short.
OVERLAPPED_FROM = 128
# 12 layers of bert-base: what every forward reads, however little it computes.
LAYERS_BYTES = 4 * 12 * (4 * 768**2 + 2 * 768 * 3072)
ORIGINAL, COPY = "the original's way", "copying memory"


def agreement(vectors: Vectors, reference: Vectors) -> float:
    """Compute the smallest cosine between two backends' vectors of the same items, float32 (items, embed_dim) both.

    It shows whether the backends computed the same thing.
    """
    return float((normalize_vectors(vectors) * normalize_vectors(reference)).sum(axis=1).min())


def load_models(config: ModelConfig, device: str) -> dict[tuple[str, str], EmbeddingModel]:
    """The full-size model on every backend in every number format, by both; prints how long each takes to load."""
    weights = full_size_weights()
    models = {}
    for backend, dtype in product(backends(device), formats(device)):
        began = time.perf_counter()
        model = load(config, weights, backend=backend, device=device, dtype=dtype)
        model.encode("text", items_for(config, "texts", 2))
        models[backend, dtype] = model
        kind = type(model.backend).__name__
        print(f"loaded {backend} {dtype} as {kind} in {time.perf_counter() - began:.1f} s", flush=True)
    return models


def list_forwards(
    models: dict[tuple[str, str], EmbeddingModel], batches: tuple[int, ...], device: str
) -> list[Forward]:
    """All cases: on a GPU, large batches also overlapped, as the engine runs them."""
    forwards = []
    for backend, dtype in models:
        for name in LOADS:
            for batch in batches:
                # Lengths mix in batches alone.
                if name == "mixed clips" and batch == 1:
                    continue
                forwards.append(Forward(backend, dtype, name, batch))
                if device != "cpu" and batch >= OVERLAPPED_FROM:
                    forwards.append(Forward(backend, dtype, name, batch, overlapped=True))
    return forwards


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Time all cases in turns, and compare the vectors of the backends."""
    device = choose_device(options.device)
    batches = options.batches or BATCHES["cpu" if device == "cpu" else "cuda"]
    config = load_catalog()["default"]
    models = load_models(config, device)
    reference = models["torch", "float32"]
    forwards = list_forwards(models, batches, device)
    cases: dict[str, Callable[[], object]] = {ORIGINAL: original_way(reference), **make_cases(models, forwards)}
    for dtype in formats(device):
        for (library, positions), case in products.product_cases(dtype, device).items():
            cases[_product_key(library, dtype, positions)] = case
    cases[COPY] = products.copy_case(device)
    rounds, limit_s = (2, 10.0) if options.quick else (15, 150.0)
    seconds = take_turns(cases, rounds=rounds, limit_s=limit_s)
    sample = {name: items_for(config, name, 4) for name in LOADS}
    agreements = {
        f"{backend} {dtype} {name}": agreement(model.encode(LOADS[name], items), reference.encode(LOADS[name], items))
        for (backend, dtype), model in models.items()
        for name, items in sample.items()
    }
    rates = {dtype: product_rates(seconds, dtype, device) for dtype in formats(device)}
    return {
        "machine": {**machine_facts(), **device_facts(device)},
        "quick": options.quick,
        "original_seconds": seconds[ORIGINAL],
        "product_operations_per_s": rates,
        "copied_bytes_per_s": 2 * products.copied_bytes(device) / seconds[COPY],
        "forwards": [row(forward, config, seconds, rates[forward.dtype]) for forward in forwards],
        "smallest_cosine_to_torch_float32": agreements,
    }


def device_facts(device: str) -> dict[str, Any]:
    """Name of the GPU, if there is one, and torch's threads."""
    import torch

    name = torch.cuda.get_device_name(device) if device != "cpu" else None
    return {"device": device, "gpu": name, "torch_threads": torch.get_num_threads()}


def _product_key(library: str, dtype: str, positions: int) -> str:
    return f"product {library} {dtype} {positions}"


def product_rates(seconds: dict[str, float], dtype: str, device: str) -> dict[str, float]:
    """Operations a second of each library and size that was measured."""
    found = {}
    for library in ("torch", "openvino"):
        for positions in products.positions(device):
            key = _product_key(library, dtype, positions)
            if key in seconds:
                found[f"{library} {positions}"] = products.operations(positions) / seconds[key]
    return found


def row(forward: Forward, config: ModelConfig, seconds: dict[str, float], rates: dict[str, float]) -> dict[str, Any]:
    """What one case comes to: items a second, its share of the machine's rate, its ratio to the original."""
    of_batch = seconds[forward.key] / forward.batches
    rate = operations(config, forward) / of_batch
    per_item = of_batch / forward.batch
    return {
        **asdict(forward),
        "seconds": of_batch,
        "items_per_s": 1 / per_item,
        "operations_per_s": rate,
        "share_of_product_rate": rate / max(rates.values()),
        "times_original": seconds[ORIGINAL] / per_item,
    }


def render(results: dict[str, Any]) -> str:
    """The machine, its rates, and one line for each case."""
    machine = results["machine"]
    lines = [
        f"{machine['gpu'] or machine['cpu']}, {machine['cores']} cores, {machine['torch_threads']} threads, "
        f"load {machine['load_average'][0]}, torch {machine['torch']}, openvino {machine['openvino']}, "
        f"commit {machine['commit']}{' with changes' if machine['uncommitted_changes'] else ''}",
        f"original's way: {1 / results['original_seconds']:.2f} requests/s, text or clip",
        "",
    ]
    for dtype, rates in results["product_operations_per_s"].items():
        listed = ", ".join(f"{name} positions {rate / 1e9:.0f}" for name, rate in rates.items())
        lines.append(f"matrix products, {dtype}, GFLOP/s: {listed}")
    copied = results["copied_bytes_per_s"]
    lines.append(
        f"memory: {copied / 1e9:.1f} GB/s read and written; at that rate a tower's layers, "
        f"{LAYERS_BYTES / 1e6:.0f} MB in float32, are read in {1000 * LAYERS_BYTES / copied:.1f} ms"
    )
    lines += ["", f"{'':50}{'ms':>9}{'items/s':>10}{'GFLOP/s':>10}{'share':>8}{'× original':>12}"]
    for case in results["forwards"]:
        name = f"{case['backend']} {case['dtype']}, {case['batch']} {case['load']}"
        name += ", overlapped" * case["overlapped"]
        lines.append(
            f"{name:50}{1000 * case['seconds']:9.1f}{case['items_per_s']:10.1f}{case['operations_per_s'] / 1e9:10.0f}"
            f"{case['share_of_product_rate']:8.0%}{case['times_original']:12.1f}"
        )
    lines += ["", "smallest cosine to torch float32:"]
    lines += [f"  {name:30}{cosine:.6f}" for name, cosine in results["smallest_cosine_to_torch_float32"].items()]
    return "\n".join(lines)


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds at most: to see that it runs, not to quote")
    parser.add_argument("--out", type=Path, help="folder or .json file (default: benchmarks/results)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument(
        "--batches",
        type=lambda value: tuple(int(count) for count in value.split(",")),
        help="batch sizes, comma-separated (default: 1,8,32 on a CPU; 1,32,128,512,1024 on a GPU)",
    )
    options = parser.parse_args()
    results = measure(options)
    print(render(results))
    write_results("forward", results, options.out)


if __name__ == "__main__":
    main()
