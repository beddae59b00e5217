"""How far each number format strays from the authors' numbers on a device, and whether that is within its bound.

    python -m benchmarks.goldens [--device cuda] [--out DIR]

Texts, clips and a clip of 258 frames, of the full-size model by the recipe that the authors' numbers were computed on.
"""

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.forward import device_facts
from benchmarks.forward_cases import backends, formats, load
from benchmarks.inputs import GOLDEN, full_size_weights
from benchmarks.measuring import machine_facts, write_results
from models.backends.choice import choose_device
from models.catalog import load_catalog
from models.embedding import EmbeddingModel
from models.vectors import Vectors, normalize_vectors

# Largest difference as a share of a vector's largest value: TF32 and float16 keep 11 bits of a number, bfloat16 8.
BOUNDS = {"float32": 1e-4, "tf32": 5e-3, "float16": 5e-3, "bfloat16": 5e-2}


def compare(model: EmbeddingModel, wanted: dict[str, Vectors], items: dict[str, Any]) -> list[dict[str, Any]]:
    """Largest difference and smallest cosine of each golden set."""
    rows = []
    for name, golden in wanted.items():
        embed = model.embed_text if name == "texts" else model.embed_pose
        got = embed(items[name], normalize=False)
        difference = np.abs(got - golden).max(axis=1) / np.abs(golden).max(axis=1)
        cosine = (normalize_vectors(got) * normalize_vectors(golden)).sum(axis=1)
        rows.append({"what": name, "error": float(difference.max()), "cosine": float(cosine.min())})
    return rows


def read_goldens() -> tuple[dict[str, dict[str, Vectors]], dict[str, Any]]:
    """The authors' vectors by model and set, float32 (items, 768), and what each set was computed from."""
    asked = json.loads((GOLDEN / "signclip.json").read_text(encoding="utf-8"))
    with np.load(GOLDEN / "signclip.npz") as file, np.load(GOLDEN / "long.npz") as long:
        clips = [file[f"features/{name}"] for name in asked["poses"]]
        wanted = {
            "default": {"texts": file["texts"], "clips": np.stack([file[f"pose/{name}"] for name in asked["poses"]])},
            "default_long": {"a clip, long positions": long["long/house"][None]},
        }
        items = {"texts": asked["texts"], "clips": clips, "a clip, long positions": [file["features/house"]]}
    return wanted, items


def measure(device: str) -> dict[str, Any]:
    """Compare every backend in every number format with the authors' numbers."""
    catalog, weights = load_catalog(), full_size_weights()
    wanted, items = read_goldens()
    rows = []
    for backend, dtype in product(backends(device), formats(device)):
        for name, golden in wanted.items():
            model = load(catalog[name], weights, backend=backend, device=device, dtype=dtype)
            for row in compare(model, golden, items):
                within = row["error"] <= BOUNDS[dtype]
                rows.append({"forward": type(model.backend).__name__, "dtype": dtype, **row, "within": within})
    return {"machine": {**machine_facts(), **device_facts(device)}, "goldens": rows}


def render(results: dict[str, Any]) -> str:
    """One line for each format and set."""
    lines = [f"{'against the authors numbers':50}{'error':>10}{'bound':>10}{'cosine':>12}"]
    for row in results["goldens"]:
        name = f"{row['forward']} {row['dtype']}, {row['what']}"
        judged = "" if row["within"] else "   TOO FAR"
        lines.append(f"{name:50}{row['error']:10.1e}{BOUNDS[row['dtype']]:10.0e}{row['cosine']:12.7f}{judged}")
    return "\n".join(lines)


def main() -> int:
    """Compare as the command line says, print the figures and write them; 1 when a format strays too far."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--out", type=Path, help="folder or .json file (default: benchmarks/results)")
    parser.add_argument("--quick", action="store_true", help="changes nothing: it is quick")
    options = parser.parse_args()
    results = measure(choose_device(options.device))
    print(render(results))
    write_results("goldens", results, options.out)
    return int(not all(row["within"] for row in results["goldens"]))


if __name__ == "__main__":
    sys.exit(main())
