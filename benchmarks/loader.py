"""The loader of training alone: clips a second of one core by part, and how long a simulated step waits for data.

    python -m benchmarks.loader [--quick] [--out DIR] [--batch 448] [--workers 2] [--device-step-s 0.1]

Clips are real ones of the fingerspelling lexicon, joined to the lengths of signs in datasets, and lie in the feature
cache. Times of parts are those of a core, not of the clock, so other work on the machine matters little. From them
follows how long a device waits for data that takes a step in --device-step-s and is fed by eight workers with a core
each. Beside it stands what real workers and a sleeping device make of it by the clock; with fewer workers that device
is as much slower. It counts only where as many cores are free as there are workers.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import torch

from benchmarks.measuring import machine_facts, write_results
from benchmarks.training_cases import Case, ClipExperiment, fill_cache, open_clips, open_source
from training.clips.augmentation import augment_clip
from training.clips.batches import ClipBatches
from training.loader import open_loader

DEVICE_WORKERS = 8
"""Workers that feed one device."""
NEEDED_CLIPS_PER_S = 560.0
"""Of one core: 448 clips in 0.1 s from DEVICE_WORKERS cores."""
LARGEST_WAIT = 0.05
"""Share of the time that the device may wait for data, at most."""
AHEAD = 2
"""Batches that PyTorch's loader has each worker make ahead."""
RECIPES = {
    "released": {"temporal": 0.2},
    "all": {"flip": 0.2, "rotation": 0.2, "shear": 0.2, "scale": 0.2, "temporal": 0.2, "noise": 0.001},
}
"""Augmentation of the released model, and all that the authors use anywhere."""
WARM = 2
"""Batches of each worker at the start that do not count."""
IDLE = 0.02
"""Seconds of cores that idle processes take in a second, at most."""
PARTS = 3
"""Batches that the parts are measured on."""


@dataclass(frozen=True)
class Sizes:
    """What is measured: pairs of a batch, workers, batches that count, and seconds of a step of the whole device."""

    batch: int
    workers: int
    batches: int
    step_s: float


def main() -> int:
    """Measure as the command line says, print and write the figures; exit status 1: less than is promised."""
    options = _build_parser().parse_args()
    torch.set_num_threads(1)
    sizes = Sizes(options.batch, options.workers, options.batches, options.device_step_s)
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        fill_cache(Path(name))
        print(f"{'µs of a core a clip':19} {'read':>8} {'augment':>8} {'collate':>8} {'hand over':>10}", end="")
        print(f" {'clips/s':>8} {'waits':>7} {'by the clock':>13}")
        for recipe in RECIPES:
            row = rows[recipe] = measure(open_recipe(recipe, Path(name), sizes), sizes)
            parts = "".join(f" {1e6 * row[f'{part}_s']:8.0f}" for part in ("read", "augment", "collate"))
            rates = f"{1e6 * row['hand_over_s']:10.0f} {row['clips_per_s']:8.0f} {row['waits']:7.1%}"
            rates += f" {row['waits_by_clock']:13.1%}"
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
    parts, batches_s = measure_parts(run, source)
    whole_s, by_clock = run_loader(source, sizes)
    hand_over_s = whole_s - sum(parts.values())
    # One batch after another, many times, with the differences that their lengths make.
    made_s = [seconds + sizes.batch * hand_over_s for seconds in batches_s] * 40
    waits = simulate_waits(made_s, workers=DEVICE_WORKERS, step_s=sizes.step_s)
    figures = {"hand_over_s": hand_over_s, "clips_per_s": 1 / whole_s, "waits": waits, "waits_by_clock": by_clock}
    return {**parts, **figures}


def simulate_waits(made_s: Sequence[float], *, workers: int, step_s: float) -> float:
    """Compute the share of its time that a device waits for batches, as PyTorch's loader hands them out.

    Args:
        made_s: seconds that each batch takes in a worker.
        workers: that make batches in turn, each at most AHEAD batches ahead.
        step_s: seconds of a step, once its batch is there.
    Returns:
        The share, the first AHEAD batches of each worker left out.
    """
    free_s, taken_s = [0.0] * workers, [0.0] * (AHEAD * workers)
    now_s = waited_s = 0.0
    for number, seconds in enumerate(made_s):
        worker = number % workers
        # A place among the batches ahead becomes free when a batch is taken.
        free_s[worker] = max(free_s[worker], taken_s[number]) + seconds
        if number >= AHEAD * workers:
            waited_s += max(0.0, free_s[worker] - now_s)
        now_s = max(now_s, free_s[worker])
        taken_s.append(now_s)
        now_s += step_s
    return waited_s / (waited_s + (len(made_s) - AHEAD * workers) * step_s)


def measure_parts(run: ClipExperiment, source: ClipBatches) -> tuple[dict[str, float], list[float]]:
    """Seconds of a core that one clip takes to be read, augmented and put into its batch; and those of batches."""
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
    moments = [time.process_time()]
    for step in range(PARTS):
        source[step]
        moments.append(time.process_time())
    batches_s = [ended - began for began, ended in pairwise(moments)]
    collate_s = sum(batches_s) / len(numbers) - read_s - augment_s
    return {"read_s": read_s, "augment_s": augment_s, "collate_s": collate_s}, batches_s


def run_loader(source: ClipBatches, sizes: Sizes) -> tuple[float, float]:
    """Run a loader beside steps of a simulated device, which need nothing of this process.

    Returns:
        Seconds of a core a clip, of all processes together; and the share of the time that waited for data.
    """
    first = WARM * sizes.workers
    last = first + sizes.batches
    loader = iter(
        open_loader(source, range(last + AHEAD * sizes.workers), workers=sizes.workers, device=torch.device("cpu"))
    )
    staged = torch.empty(0)
    step_s = sizes.step_s * DEVICE_WORKERS / sizes.workers
    waited_s = began_s = 0.0
    for number in range(last):
        if number == first:
            began_s, waited_s = count_settled_cpu_s(), 0.0
        asked = time.perf_counter()
        features = next(loader).pose_features
        # As into pinned memory, from which a device copies.
        if staged.numel() < features.numel():
            staged = torch.empty(features.numel(), dtype=features.dtype)
        staged[: features.numel()] = features.flatten()
        waited_s += time.perf_counter() - asked
        time.sleep(step_s)
    spent_s = count_settled_cpu_s() - began_s
    for _ in loader:
        pass
    return spent_s / (sizes.batches * sizes.batch), waited_s / (waited_s + sizes.batches * step_s)


def count_settled_cpu_s() -> float:
    """Count the seconds of cores once all workers are as far ahead as they may be.

    Between two such moments workers make as many batches as this process takes.
    """
    before_s = 0.0
    while (now_s := count_cpu_s()) - before_s > IDLE:
        before_s = now_s
        time.sleep(1.0)
    return now_s


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
    parser.add_argument("--device-step-s", type=float, default=0.1 / 7 if quick else 0.1, help="of the whole batch")
    return parser


if __name__ == "__main__":
    sys.exit(main())
