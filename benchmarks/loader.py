"""The loader of training alone: clips a second of one core by part, and how long a simulated step waits for data.

    python -m benchmarks.loader [--quick] [--out DIR] [--batch 448] [--workers 2] [--device-step-s 0.1]

Clips are real ones of the fingerspelling lexicon, joined to the lengths of signs in datasets, and lie in the feature
cache. Times of parts are those of a core, not of the clock, so other work on the machine matters little. The simulated
device takes a step of 448 pairs in 0.1 s and is fed by eight workers; with fewer workers it takes as much longer. That
share is of the clock, so it counts only where as many cores are free as there are workers.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch

from benchmarks.measuring import machine_facts, write_results
from benchmarks.training_cases import Case, ClipExperiment, fill_cache, open_clips, open_source
from training.clips.augmentation import augment_clip
from training.clips.batches import ClipBatches
from training.validation import open_loader

DEVICE_WORKERS = 8
"""Workers that feed one device."""
NEEDED_CLIPS_PER_S = 560.0
"""Of one core: 448 clips in 0.1 s from DEVICE_WORKERS cores."""
LARGEST_WAIT = 0.05
"""Share of a simulated step that may wait for data, at most."""
RECIPES = {
    "released": {"temporal": 0.2},
    "all": {"flip": 0.2, "rotation": 0.2, "shear": 0.2, "scale": 0.2, "temporal": 0.2, "noise": 0.001},
}
"""Augmentation of the released model, and all that the authors use anywhere."""
WARM = 2
"""Batches of each worker at the start that do not count."""
PARTS = 3
"""Batches that the parts are measured on."""


@dataclass(frozen=True)
class Sizes:
    """What is measured: pairs of a batch, workers, batches that count, and a simulated step's seconds."""

    batch: int
    workers: int
    batches: int
    step_s: float


def main() -> int:
    """Measure as the command line says, print and write the figures; exit status 1: less than is promised."""
    options = _build_parser().parse_args()
    torch.set_num_threads(1)
    step_s = options.device_step_s * DEVICE_WORKERS / options.workers
    sizes = Sizes(options.batch, options.workers, options.batches, step_s)
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        fill_cache(Path(name))
        print(f"{'µs of a core a clip':19} {'read':>8} {'augment':>8} {'collate':>8} {'hand over':>10}", end="")
        print(f" {'clips/s':>8} {'waits':>7}")
        for recipe in RECIPES:
            row = rows[recipe] = measure(open_recipe(recipe, Path(name), sizes), sizes)
            parts = "".join(f" {1e6 * row[f'{part}_s']:8.0f}" for part in ("read", "augment", "collate"))
            rates = f"{1e6 * row['hand_over_s']:10.0f} {row['clips_per_s']:8.0f} {row['waits']:7.1%}"
            print(f"{recipe:19} {parts[1:]} {rates}")
    print(f"aim: {NEEDED_CLIPS_PER_S:.0f} clips/s of one core; waits {LARGEST_WAIT:.0%} at most")
    promises = {"clips_per_s": NEEDED_CLIPS_PER_S, "waits": LARGEST_WAIT}
    results = {"machine": machine_facts(), "sizes": vars(sizes), "recipes": rows, "promises": promises}
    write_results("loader", results, options.out)
    kept = all(row["clips_per_s"] >= NEEDED_CLIPS_PER_S and row["waits"] <= LARGEST_WAIT for row in rows.values())
    return int(not kept)


def open_recipe(recipe: str, folder: Path, sizes: Sizes) -> ClipExperiment:
    """The released model's run with the augmentation of a recipe."""
    case = Case(sizes.batch, None, 1, sizes.workers, 12, "cpu", "fp16")
    return case.experiment(folder, *(f"data.augmentation.{name}={value}" for name, value in RECIPES[recipe].items()))


def measure(run: ClipExperiment, sizes: Sizes) -> dict[str, float]:
    """Measure the parts in this process, then a loader with workers beside simulated steps."""
    source = open_source(run)
    parts = measure_parts(run, source)
    whole, waits = run_loader(source, sizes)
    return {**parts, "hand_over_s": whole - sum(parts.values()), "clips_per_s": 1 / whole, "waits": waits}


def measure_parts(run: ClipExperiment, source: ClipBatches) -> dict[str, float]:
    """Seconds of a core that one clip takes to be read, augmented and put into its batch."""
    clips, frames = open_clips(run), run.model.max_frames
    buffer = np.empty((frames, run.model.feature_dim), np.float32)
    numbers = np.random.default_rng(0).integers(0, len(clips), PARTS * run.batch.size)
    source[0]
    began = time.process_time()
    read = [clips.read_features(int(number)) for number in numbers]
    for features in read:
        buffer[: len(features)] = features
    read_s = (time.process_time() - began) / len(numbers)
    began = time.process_time()
    for place, features in enumerate(read):
        rng = np.random.default_rng((0, 1, place))
        augment_clip(features, clips.kind, strength=run.data.augmentation, rng=rng, max_frames=frames)
    augment_s = (time.process_time() - began) / len(numbers)
    began = time.process_time()
    for step in range(PARTS):
        source[step]
    whole_s = (time.process_time() - began) / len(numbers)
    return {"read_s": read_s, "augment_s": augment_s, "collate_s": whole_s - read_s - augment_s}


def run_loader(source: ClipBatches, sizes: Sizes) -> tuple[float, float]:
    """Run a loader beside steps of a simulated device, which need nothing of this process.

    Returns:
        Seconds of a core a clip, of all processes together; and the share of the time that waited for data.
    """
    first = WARM * sizes.workers
    last = first + sizes.batches
    # A worker makes two batches ahead, so at the last batch that counts it is as far ahead as at the first.
    loader = iter(
        open_loader(source, range(last + 2 * sizes.workers), workers=sizes.workers, device=torch.device("cpu"))
    )
    staged = torch.empty(0)
    waited_s = began_s = 0.0
    for number in range(last):
        if number == first:
            began_s, waited_s = count_cpu_s(), 0.0
        asked = time.perf_counter()
        features = next(loader).pose_features
        # As into pinned memory, from which a device copies.
        if staged.numel() < features.numel():
            staged = torch.empty(features.numel(), dtype=features.dtype)
        staged[: features.numel()] = features.flatten()
        waited_s += time.perf_counter() - asked
        time.sleep(sizes.step_s)
    spent_s = count_cpu_s() - began_s
    for _ in loader:
        pass
    return spent_s / (sizes.batches * sizes.batch), waited_s / (waited_s + sizes.batches * sizes.step_s)


def count_cpu_s() -> float:
    """Count the seconds of cores that this process and its living children have taken."""
    process = psutil.Process()
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    quick = "--quick" in sys.argv
    parser.add_argument("--quick", action="store_true", help="small batches, few of them")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--batch", type=int, default=64 if quick else 448, help="pairs of a step")
    parser.add_argument("--batches", type=int, default=6 if quick else 24, help="that count")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device-step-s", type=float, default=0.1 / 7 if quick else 0.1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
