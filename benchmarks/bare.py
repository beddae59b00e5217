"""The forward alone, as the engine runs it: `python -m benchmarks.bare WEIGHTS DTYPE` prints rates as JSON."""

import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from models.backends.choice import choose_device, make_backend
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder, read_digest
from models.embedding import EmbeddingModel
from models.tokenization import load_tokenizer

TEXT_BATCHES, POSE_BATCHES = (32, 64, 128), (4, 8, 16)
FRAMES = 73


def seconds(model: EmbeddingModel, tower: str, count: int, repeats: int) -> float:
    """Median seconds of one forward over `count` items: texts of 8 positions, clips of 73 frames."""
    generator = np.random.default_rng(0)
    if tower == "text":
        items = [generator.integers(1000, 20_000, 8).astype(np.int32) for _ in range(count)]
    else:
        items = [generator.standard_normal((FRAMES, 609)).astype(np.float32) for _ in range(count)]
    model.encode(tower, items)  # type: ignore[arg-type]
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        model.encode(tower, items)  # type: ignore[arg-type]
        times.append(time.perf_counter() - started)
    return median(times)


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    weights, dtype = WeightsFolder(Path(sys.argv[1])), sys.argv[2]
    config = load_catalog()["default"]
    path = weights.locate_converted(config)
    backend = make_backend(path, config, backend="auto", device=choose_device("auto"), dtype=dtype, threads=None)
    model = EmbeddingModel(config, load_tokenizer(weights.locate_tokenizer(config)), backend, read_digest(path))
    result = {
        "one_text_ms": 1000 * seconds(model, "text", 1, 60),
        "texts_per_s": max(count / seconds(model, "text", count, 8) for count in TEXT_BATCHES),
        "poses_per_s": max(count / seconds(model, "pose", count, 4) for count in POSE_BATCHES),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
