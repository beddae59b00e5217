"""The forward of the full-size model, by backend, number format and batch: against the machine and the original's way.

    python -m benchmarks.forward [--quick] [--out DIR] [--device cuda] [--batches 1,8,32]

Short texts (8 positions) and clips of 73 frames (75 positions), through the same code that serves them. A share is of
the fastest matrix product of that number format in this run. A ratio is to what the original does for each request:
both towers, text and clip padded to the full length, one request at a time, in float32.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import products
from benchmarks.inputs import full_size_weights
from benchmarks.measuring import machine_facts, take_turns, write_results
from models.backends import Vectors
from models.backends.choice import choose_device, make_backend
from models.batching import pad
from models.catalog import ModelConfig, Tower, TowerConfig, load_catalog
from models.checkpoints.folders import WeightsFolder, read_digest
from models.embedding import EmbeddingModel, normalize_vectors
from models.tokenization import load_tokenizer

BATCHES = (1, 8, 32)
DTYPES = ("float32", "bfloat16")
TEXT_TOKENS, CLIP_FRAMES = 8, 73
# 12 layers of bert-base: what every forward reads, however little it computes.
LAYERS_BYTES = 4 * 12 * (4 * 768**2 + 2 * 768 * 3072)
ORIGINAL, COPY = "the original's way", "copying memory"


@dataclass(frozen=True)
class Forward:
    """One measured case: `batch` items of a tower through a model."""

    backend: str
    dtype: str
    tower: Tower
    batch: int

    @property
    def key(self) -> str:
        """Its name among the timed cases."""
        return f"{self.backend} {self.dtype} {self.tower} {self.batch}"


def tower_operations(tower: TowerConfig, positions: int) -> int:
    """Multiplications and additions of one item: what each layer's weights and its attention take."""
    weights = 4 * tower.width**2 + 2 * tower.width * tower.inner
    return tower.layers * (2 * positions * weights + 4 * positions**2 * tower.width)


def items_for(config: ModelConfig, tower: Tower, count: int, length: int | None = None) -> list[npt.NDArray[Any]]:
    """Make up texts, int32 (tokens,), or clips, float32 (frames, features); a tower takes as long as on real ones.

    Args:
        count: how many.
        length: tokens or frames of each; None takes TEXT_TOKENS or CLIP_FRAMES.
    """
    generator = np.random.default_rng(0)
    if tower == "text":
        return [generator.integers(1000, 20_000, length or TEXT_TOKENS).astype(np.int32) for _ in range(count)]
    shape = (length or CLIP_FRAMES, config.feature_dim)
    return [generator.standard_normal(shape, dtype=np.float32) for _ in range(count)]


def backends(device: str) -> list[str]:
    """Those that run on this machine."""
    return ["torch", "openvino"] if device == "cpu" and find_spec("openvino") is not None else ["torch"]


def load(config: ModelConfig, weights: WeightsFolder, *, backend: str, device: str, dtype: str) -> EmbeddingModel:
    """Load a model as the engine does, on one backend and in one number format."""
    path = weights.locate_converted(config)
    built = make_backend(path, config, backend=backend, device=device, dtype=dtype, threads=None)
    return EmbeddingModel(config, load_tokenizer(weights.locate_tokenizer(config)), built, read_digest(path))


def original_way(model: EmbeddingModel) -> Callable[[], object]:
    """One request of the original service, whether it holds a text or a clip."""
    config = model.config
    input_ids, attention_mask = pad(items_for(config, "text", 1), dtype=np.int64, longest=config.max_tokens - 1)
    pose_features, frame_mask = pad(items_for(config, "pose", 1), dtype=np.float32, longest=config.max_frames)

    def run() -> object:
        text = model.backend.encode_text(input_ids, attention_mask)
        return text, model.backend.encode_pose(pose_features, frame_mask)

    return run


def agreement(vectors: Vectors, reference: Vectors) -> float:
    """Compute the smallest cosine between two backends' vectors of the same items, float32 (items, embed_dim) both.

    It shows whether the backends computed the same thing.
    """
    return float((normalize_vectors(vectors) * normalize_vectors(reference)).sum(axis=1).min())


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Time all cases in turns, and compare the vectors of the backends."""
    device = choose_device(options.device)
    config, weights = load_catalog()["default"], full_size_weights()
    models = {
        (backend, dtype): load(config, weights, backend=backend, device=device, dtype=dtype)
        for backend in backends(device)
        for dtype in DTYPES
    }
    reference = models["torch", "float32"]
    forwards = [
        Forward(backend, dtype, tower, batch)
        for backend, dtype in models
        for tower in ("text", "pose")
        for batch in options.batches
    ]
    cases: dict[str, Callable[[], object]] = {ORIGINAL: original_way(reference)}
    for forward in forwards:
        items = items_for(config, forward.tower, forward.batch)
        model = models[forward.backend, forward.dtype]
        cases[forward.key] = lambda model=model, tower=forward.tower, items=items: model.encode(tower, items)  # type: ignore[misc]
    for dtype in DTYPES:
        for (library, positions), case in products.product_cases(dtype, device).items():
            cases[_product_key(library, dtype, positions)] = case
    cases[COPY] = products.copy_case(device)
    rounds, limit_s = (2, 10.0) if options.quick else (15, 150.0)
    seconds = take_turns(cases, rounds=rounds, limit_s=limit_s)
    sample = {tower: items_for(config, tower, 4) for tower in ("text", "pose")}
    agreements = {
        f"{backend} {dtype} {tower}": agreement(model.encode(tower, items), reference.encode(tower, items))  # type: ignore[arg-type]
        for (backend, dtype), model in models.items()
        for tower, items in sample.items()
    }
    rates = {dtype: product_rates(seconds, dtype) for dtype in DTYPES}
    return {
        "machine": {**machine_facts(), **device_facts(device)},
        "quick": options.quick,
        "original_seconds": seconds[ORIGINAL],
        "product_operations_per_s": rates,
        "copied_bytes_per_s": 2 * products.COPIED_BYTES / seconds[COPY],
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


def product_rates(seconds: dict[str, float], dtype: str) -> dict[str, float]:
    """Operations a second of each library and size that was measured."""
    found = {}
    for library in ("torch", "openvino"):
        for positions in products.POSITIONS:
            key = _product_key(library, dtype, positions)
            if key in seconds:
                found[f"{library} {positions}"] = products.operations(positions) / seconds[key]
    return found


def row(forward: Forward, config: ModelConfig, seconds: dict[str, float], rates: dict[str, float]) -> dict[str, Any]:
    """What one case comes to: items a second, its share of the machine's rate, its ratio to the original."""
    if forward.tower == "text":
        operations = tower_operations(config.text_tower, TEXT_TOKENS)
    else:
        operations = tower_operations(config.pose_tower, CLIP_FRAMES + 2)
    per_item = seconds[forward.key] / forward.batch
    return {
        **asdict(forward),
        "seconds": seconds[forward.key],
        "items_per_s": 1 / per_item,
        "operations_per_s": operations / per_item,
        "share_of_product_rate": operations / per_item / max(rates.values()),
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
    lines += ["", f"{'':40}{'ms':>9}{'items/s':>10}{'GFLOP/s':>10}{'share':>8}{'× original':>12}"]
    for case in results["forwards"]:
        noun = {"text": "text", "pose": "clip"}[case["tower"]] + ("s" if case["batch"] > 1 else "")
        name = f"{case['backend']} {case['dtype']}, {case['batch']} {noun}"
        lines.append(
            f"{name:40}{1000 * case['seconds']:9.1f}{case['items_per_s']:10.1f}{case['operations_per_s'] / 1e9:10.0f}"
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
        default=BATCHES,
        help="batch sizes, comma-separated (default: 1,8,32)",
    )
    options = parser.parse_args()
    results = measure(options)
    print(render(results))
    write_results("forward", results, options.out)


if __name__ == "__main__":
    main()
