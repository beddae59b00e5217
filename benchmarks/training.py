"""Training steps of the full-size model: the real loop against the bare step, a step by its parts, and chunks.

    python -m benchmarks.training [--quick] [--out DIR] [--device cuda] [--batch 448] [--chunk 64] [--workers 4]

The loop learns as the released model's run does: from the feature cache, another pace for each clip. The bare step is
forward, backward, clipping and Adam on the same batches, which lie ready in memory. Both stop for the loss after every
step; each is measured in turn in one process. The parts of a step are measured with a stop after each. What chunks cost
in time and save in memory is measured in a process each: on a GPU what torch took, on a CPU all that the process took.
At last the loss is watched over --falling steps: it has to fall.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks import products
from benchmarks.loader import measure_parts
from benchmarks.measuring import machine_facts, measure_peak_bytes, take_turns, write_results
from benchmarks.training_cases import Case, build, count_operations, fill_cache, open_source
from models.architecture import SignClip
from training.batches import PairBatch
from training.clips.batches import ClipBatches
from training.learning import Learner
from training.loop import Sources, train

if TYPE_CHECKING:
    from accelerate import Accelerator

NEEDED = 0.9
"""Steps a second of the loop that the bare step's have to be, at least."""
WARM = 2
"""Steps at the start that do not count: kernels are chosen, workers start."""


def main() -> int:
    """Measure as the command line says, print and write the figures; exit status 1: less than is promised."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    sizes = {"batch": options.batch, "workers": options.workers, "device": options.device}
    case = Case(**sizes, chunk=None, steps=WARM + options.steps, layers=options.layers, precision=options.precision)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill_cache(folder)
        source = open_source(case.experiment(folder))
        rounds = [
            (loop_seconds(case, folder, source), bare_seconds(case, folder, source)) for _ in range(options.rounds)
        ]
        loop, bare = (statistics.median(times) for times in zip(*rounds, strict=True))
        share = statistics.median(bare / loop for loop, bare in rounds)
        print(f"{'':28} {'s a step':>10} {'steps/s':>10} {'clips/s':>10}")
        for label, seconds in (("bare step", bare), ("loop with loader", loop)):
            print(f"{label:28} {seconds:10.3f} {1 / seconds:10.3f} {case.batch / seconds:10.1f}")
        print(f"{'loop, of the bare step':28} {share:10.1%}  (aim {NEEDED:.0%})\n")
        figures = {"loop_s": loop, "bare_s": bare, "share": share, "needed": NEEDED, "rounds": rounds}
        figures |= {"parts_s": measure_step(case, folder, source), "of_products": compare(case, folder, bare)}
        figures["chunks"] = measure_chunks(case, options.chunk, folder)
        figures["falling"] = falling = watch_loss(case, folder, options.falling)
    results = {"machine": machine_facts(), "device": options.device, "threads": options.threads, "case": vars(case)}
    write_results("training", results | figures, options.out)
    return int(share < NEEDED or falling["last"] >= falling["first"])


def measure_step(case: Case, folder: Path, source: ClipBatches) -> dict[str, float]:
    """Seconds of one step by its parts: the loader's are those of one core, the others of the device."""
    run, accelerator = case.experiment(folder), case.open_accelerator()
    learner = Learner(run, build(run), accelerator=accelerator, steps=case.steps)
    parts = dict.fromkeys(("transfer", "forward", "backward", "update"), 0.0)
    for step in range(case.steps):
        batch = source[step].pin_memory() if case.device == "cuda" else source[step]
        moments = [_now(accelerator)]
        batch = batch.to(accelerator.device)
        moments.append(_now(accelerator))
        with accelerator.autocast():
            pooled = learner.contrastive.pool(batch)
        loss = learner.contrastive.compute_loss(*learner.contrastive.finish(*pooled), targets=None)
        moments.append(_now(accelerator))
        accelerator.backward(loss)
        moments.append(_now(accelerator))
        accelerator.clip_grad_norm_(learner.contrastive.parameters(), run.optimizer.clip_norm or float("inf"))
        learner.optimizer.step()
        learner.optimizer.zero_grad(set_to_none=True)
        moments.append(_now(accelerator))
        for name, began, ended in zip(parts, moments[:-1], moments[1:], strict=True):
            parts[name] += (ended - began) / (case.steps - WARM) if step >= WARM else 0.0
    loader, _ = measure_parts(run, source)
    found = {name.removesuffix("_s"): case.batch * seconds for name, seconds in loader.items()} | parts
    print(f"{'part of a step':16} {'ms':>10}   read, augment, collate: of one core, ahead of the step")
    for name, seconds in found.items():
        print(f"{name:16} {1e3 * seconds:10.1f}")
    made = case.batch / sum(found[name] for name in ("read", "augment", "collate"))
    print(f"{'loader alone':16} {made:10.0f} clips/s of one core\n")
    return found


def _now(accelerator: Accelerator) -> float:
    if accelerator.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def compare(case: Case, folder: Path, bare_s: float) -> float:
    """Compare the bare step with the device's fastest matrix product in its number format: a share."""
    dtype = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}[case.precision]
    # No other library: OpenVINO in the process whose loader has run ended it with a segmentation fault.
    calls = {str(rows): call for (_, rows), call in products.torch_cases(dtype, case.device).items()}
    seconds = take_turns(calls, rounds=3, limit_s=10)
    best = max(products.operations(int(rows)) / each for rows, each in seconds.items())
    run = case.experiment(folder)
    share = count_operations(run, open_source(run), steps=3) / bare_s / best
    print(f"the bare step multiplies at {share:.0%} of the fastest product, {best / 1e12:.2f} TFLOP/s in {dtype}\n")
    return share


def watch_loss(case: Case, folder: Path, steps: int) -> dict[str, float]:
    """Train for some steps: the mean losses of the first and of the last tenth."""
    run = case.experiment(folder, f"steps={max(steps, 1)}")
    losses: list[Tensor] = []
    sources = Sources(open_source(run), workers=case.workers)
    train(
        run,
        build(run),
        sources=sources,
        accelerator=case.open_accelerator(),
        report=lambda _, loss: losses.append(loss),
    )
    tenth = max(1, steps // 10)
    first, last = (statistics.mean(loss.item() for loss in part) for part in (losses[:tenth], losses[-tenth:]))
    print(f"\nloss over {steps} steps: {first:.3f} at first, {last:.3f} at last")
    return {"steps": steps, "first": first, "last": last}


def loop_seconds(case: Case, folder: Path, source: ClipBatches) -> float:
    """Seconds a step of training.loop.train, its workers' start left out."""
    run, moments = case.experiment(folder), []

    def report(_: int, loss: Tensor) -> None:
        loss.item()
        moments.append(time.perf_counter())

    accelerator = case.open_accelerator()
    sources = Sources(source, workers=case.workers)
    train(run, build(run), sources=sources, accelerator=accelerator, report=report)
    return (moments[-1] - moments[WARM - 1]) / (case.steps - WARM)


def bare_seconds(case: Case, folder: Path, source: ClipBatches) -> float:
    """Seconds a step of nothing but the towers, the loss and Adam, on the batches of the loop's steps."""
    run = case.experiment(folder)
    accelerator = case.open_accelerator()
    batches = [source[step].to(accelerator.device) for step in range(case.steps)]
    model = build(run).to(accelerator.device).train()
    settings = run.optimizer
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, settings.betas, weight_decay=0, fused=True
    )
    optimizer = accelerator.prepare(optimizer)
    started = 0.0
    for step, batch in enumerate(batches):
        if step == WARM:
            started = time.perf_counter()
        loss = bare_loss(model, batch, accelerator)
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm or float("inf"))
        optimizer.step()
        loss.item()
    return (time.perf_counter() - started) / (case.steps - WARM)


def bare_loss(model: SignClip, batch: PairBatch, accelerator: Accelerator) -> Tensor:
    """Run both towers and compute the authors' loss, a scalar."""
    with accelerator.autocast():
        poses, texts = batch.pool_poses(model.pose_tower), batch.pool_texts(model.text_tower)
    scores = texts.float() @ poses.float().T
    own = torch.arange(len(batch), device=scores.device)
    return nn.functional.cross_entropy(scores, own) + nn.functional.cross_entropy(scores.T, own)


def measure_chunks(case: Case, chunk: int, folder: Path) -> list[dict[str, float | int | None]]:
    """Time and peak memory of steps with and without chunks, each in a process of its own."""
    rows: list[dict[str, float | int | None]] = []
    print(f"{'chunk':>8} {'s a step':>10} {'peak, MB':>10}")
    for size in (None, chunk):
        one = replace(case, chunk=size, steps=min(case.steps - WARM, 3), workers=0)
        # Spawned: a fork would begin with this process's memory.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            seconds, peak_bytes = process.submit(chunk_seconds, one, folder, torch.get_num_threads()).result()
        rows.append({"chunk": size, "step_s": seconds, "peak_bytes": peak_bytes})
        print(f"{size or 'none':>8} {seconds:10.3f} {peak_bytes / 1e6:10.0f}")
    whole, parts = (float(row["step_s"] or 0) for row in rows)
    print(f"{'':8} chunks take {parts / whole:.2f} times as long")
    return rows


def chunk_seconds(case: Case, folder: Path, threads: int) -> tuple[float, int]:
    """Seconds a step of learning, and the most memory that was taken, in bytes."""
    torch.set_num_threads(threads)
    run = case.experiment(folder)
    source = open_source(run)
    accelerator = case.open_accelerator()
    learner = Learner(run, build(run), accelerator=accelerator, steps=1 + case.steps)
    started = 0.0
    for step in range(1 + case.steps):
        batch = source[step]
        if step == 1:
            started = time.perf_counter()
        learner.learn(step, batch, make_targets=source.make_targets).item()
    seconds = (time.perf_counter() - started) / case.steps
    if case.device == "cuda":
        return seconds, torch.cuda.max_memory_allocated()
    return seconds, measure_peak_bytes()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two layers, small batches, few steps")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    quick = "--quick" in sys.argv
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--batch", type=int, default=16 if quick else 448 if on_gpu else 32, help="pairs of a step")
    parser.add_argument("--chunk", type=int, default=4 if quick else 64 if on_gpu else 8)
    parser.add_argument("--steps", type=int, default=3 if quick else 20 if on_gpu else 5, help="that count")
    parser.add_argument("--falling", type=int, default=20 if quick else 200 if on_gpu else 40, help="steps of loss")
    parser.add_argument("--rounds", type=int, default=1 if quick else 3)
    parser.add_argument("--layers", type=int, default=2 if quick else 12, help="of each tower")
    parser.add_argument("--workers", type=int, default=1 if quick else min(8, max(1, (os.cpu_count() or 2) // 2)))
    parser.add_argument("--threads", type=int, default=1 if quick else max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"), default="bf16" if on_gpu else "no")
    return parser


if __name__ == "__main__":
    sys.exit(main())
