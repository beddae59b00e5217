"""Training steps of the full-size model: the real loop against the bare step, and chunks with cached gradients.

    python -m benchmarks.training [--quick] [--out DIR] [--device cuda] [--batch 448] [--chunk 64] [--workers 4]

The loop learns from the fingerspelling lexicon's clips as the released model's run does: from the feature cache,
another pace for each clip. The bare step is forward, backward, clipping and Adam on the same batches, which lie ready
in memory. Both stop for the loss after every step; each is measured in turn in one process. What chunks cost in time
and save in memory is measured in a process each: on a GPU what torch took, on a CPU all that the process took.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from benchmarks.inputs import GOLDEN
from benchmarks.measuring import machine_facts, write_results
from corpora.readers.fingerspelling_lexicon import find_installed_folder
from models.architecture import SignClip
from models.tokenization import Tokenizer, load_tokenizer
from training.batches import PairBatch
from training.clips.batches import ClipBatches
from training.experiment import EXPERIMENTS, Experiment, read_experiment_as
from training.learning import Learner
from training.loop import Sources, train
from training.sections.clips import ClipData

CONFIG = EXPERIMENTS / "signclip_v1_1" / "baseline_temporal.yaml"
NEEDED = 0.9
"""Steps a second of the loop that the bare step's have to be, at least."""
WARM = 2
"""Steps at the start that do not count: kernels are chosen, workers start."""


class ClipExperiment(Experiment):
    """A run on the clips of data sets."""

    data: ClipData


@dataclass(frozen=True)
class Case:
    """What is measured; picklable.

    Attributes:
        batch, chunk: pairs of a step, and of a forward pass; None: all.
        steps: that count.
        workers: of the loader.
        layers: of each tower.
        device: cpu or cuda.
        precision: as in an experiment.
    """

    batch: int
    chunk: int | None
    steps: int
    workers: int
    layers: int
    device: str
    precision: str

    def experiment(self, folder: Path) -> ClipExperiment:
        """The released model's run, of these sizes, on the lexicon."""
        part = f"[{{dataset: fingerspelling_lexicon, root: '{find_installed_folder()}', split: all}}]"
        return read_experiment_as(
            ClipExperiment,
            CONFIG,
            changes=[
                *(f"data.train={part}", "data.validation=[]", f"data.cache='{folder / 'cache'}'"),
                *("start.text=scratch", "start.pose=scratch", "epochs=null", f"steps={WARM + self.steps}"),
                *(f"batch.size={self.batch}", f"batch.chunk={'null' if self.chunk is None else self.chunk}"),
                *(f"model.pose_tower.layers={self.layers}", f"model.text_tower.layers={self.layers}"),
                *(f"precision='{self.precision}'", f"data.workers={self.workers}", "optimizer.warmup=1"),
            ],
        )


def main() -> int:
    """Measure as the command line says, print and write the figures; exit status 1: less than is promised."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    sizes = {"batch": options.batch, "workers": options.workers, "device": options.device}
    case = Case(**sizes, chunk=None, steps=options.steps, layers=options.layers, precision=options.precision)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = open_source(case, folder)
        rounds = [
            (loop_seconds(case, folder, source), bare_seconds(case, folder, source)) for _ in range(options.rounds)
        ]
        loop, bare = (statistics.median(times) for times in zip(*rounds, strict=True))
        share = statistics.median(bare / loop for loop, bare in rounds)
        print(f"{'':28} {'s a step':>10} {'steps/s':>10} {'clips/s':>10}")
        for label, seconds in (("bare step", bare), ("loop with loader", loop)):
            print(f"{label:28} {seconds:10.3f} {1 / seconds:10.3f} {case.batch / seconds:10.1f}")
        print(f"{'loop, of the bare step':28} {share:10.1%}  (aim {NEEDED:.0%})\n")
        chunked = measure_chunks(case, options.chunk, folder)
    results = {
        **{"machine": machine_facts(), "device": options.device, "threads": options.threads, "case": vars(case)},
        **{"loop_s": loop, "bare_s": bare, "share": share, "needed": NEEDED, "rounds": rounds, "chunks": chunked},
    }
    write_results("training", results, options.out)
    return int(share < NEEDED)


def open_source(case: Case, folder: Path) -> ClipBatches:
    """Read the lexicon into the cache and open it."""
    run = case.experiment(folder)
    return ClipBatches(run, run.data, tokenizer=tokenizer())


def tokenizer() -> Tokenizer:
    """A BERT's, of 30,522 pieces."""
    return load_tokenizer(GOLDEN / "tokenizer", lowercase=False)


def build(run: Experiment) -> SignClip:
    """Build the run's model with seeded weights."""
    torch.manual_seed(run.seed)
    return SignClip(run.model, vocab_size=tokenizer().vocab_size)


def loop_seconds(case: Case, folder: Path, source: ClipBatches) -> float:
    """Seconds a step of training.loop.train, its workers' start left out."""
    run, moments = case.experiment(folder), []

    def report(_: int, loss: Tensor) -> None:
        loss.item()
        moments.append(time.perf_counter())

    accelerator = Accelerator(cpu=case.device == "cpu", mixed_precision=case.precision)
    sources = Sources(source, workers=case.workers)
    train(run, build(run), sources=sources, accelerator=accelerator, report=report)
    return (moments[-1] - moments[WARM - 1]) / case.steps


def bare_seconds(case: Case, folder: Path, source: ClipBatches) -> float:
    """Seconds a step of nothing but the towers, the loss and Adam, on the batches of the loop's steps."""
    run = case.experiment(folder)
    accelerator = Accelerator(cpu=case.device == "cpu", mixed_precision=case.precision)
    batches = [source[step].to(accelerator.device) for step in range(WARM + case.steps)]
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
    return (time.perf_counter() - started) / case.steps


def bare_loss(model: SignClip, batch: PairBatch, accelerator: Accelerator) -> Tensor:
    """Run both towers and compute the authors' loss, a scalar."""
    with accelerator.autocast():
        poses = model.pose_tower(batch.pose_features, batch.frame_mask)
        texts = model.text_tower(batch.input_ids, batch.attention_mask)
    scores = texts.float() @ poses.float().T
    own = torch.arange(len(batch), device=scores.device)
    return nn.functional.cross_entropy(scores, own) + nn.functional.cross_entropy(scores.T, own)


def measure_chunks(case: Case, chunk: int, folder: Path) -> list[dict[str, float | int | None]]:
    """Time and peak memory of steps with and without chunks, each in a process of its own."""
    rows: list[dict[str, float | int | None]] = []
    print(f"{'chunk':>8} {'s a step':>10} {'peak, MB':>10}")
    for size in (None, chunk):
        steps = min(case.steps, 3)
        one = Case(case.batch, size, steps, 0, case.layers, case.device, case.precision)
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
    run, source = case.experiment(folder), open_source(case, folder)
    accelerator = Accelerator(cpu=case.device == "cpu", mixed_precision=case.precision)
    learner = Learner(run, build(run), accelerator=accelerator, steps=WARM + case.steps)
    started = 0.0
    for step in range(1 + case.steps):
        batch = source[step]
        if step == 1:
            started = time.perf_counter()
        learner.learn(step, batch, make_targets=source.make_targets).item()
    seconds = (time.perf_counter() - started) / case.steps
    if case.device == "cuda":
        return seconds, torch.cuda.max_memory_allocated()
    # Linux counts in units of 1,024 bytes.
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
    parser.add_argument("--rounds", type=int, default=1 if quick else 3)
    parser.add_argument("--layers", type=int, default=2 if quick else 12, help="of each tower")
    parser.add_argument("--workers", type=int, default=1 if quick else min(8, max(1, (os.cpu_count() or 2) // 2)))
    parser.add_argument("--threads", type=int, default=1 if quick else max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"), default="bf16" if on_gpu else "no")
    return parser


if __name__ == "__main__":
    sys.exit(main())
