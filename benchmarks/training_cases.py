"""What benchmarks of training run on: the released model's run, of any size, on clips as long as signs in datasets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.forward_cases import lengths_of, tower_operations
from benchmarks.inputs import GOLDEN
from corpora import Clips, FeatureCache, read_corpus
from corpora.arrays import Float32Array
from corpora.readers.fingerspelling_lexicon import find_installed_folder
from models.architecture import SignClip
from models.tokenization import Tokenizer, load_tokenizer
from processes.packages import DEVELOPMENT, explain_missing
from training.clips.batches import ClipBatches
from training.experiment import EXPERIMENTS, Experiment, read_experiment_as
from training.sections.clips import ClipData

if TYPE_CHECKING:
    from accelerate import Accelerator

CONFIG = EXPERIMENTS / "signclip_v1_1" / "baseline_temporal.yaml"
# A step multiplies three times what its forward does: once forward, twice for gradients of inputs and of weights.
PASSES = 3


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

    def experiment(self, folder: Path, *changes: str) -> ClipExperiment:
        """The released model's run, of these sizes, on the lexicon's clips in the cache of a folder."""
        part = f"[{{dataset: fingerspelling_lexicon, root: '{find_installed_folder()}', split: all}}]"
        return read_experiment_as(
            ClipExperiment,
            CONFIG,
            changes=[
                *(f"data.train={part}", "data.validation=[]", f"data.cache='{folder / 'cache'}'"),
                *("start.text=scratch", "start.pose=scratch", "epochs=null", f"steps={self.steps}"),
                *(f"batch.size={self.batch}", f"batch.chunk={'null' if self.chunk is None else self.chunk}"),
                *(f"model.pose_tower.layers={self.layers}", f"model.text_tower.layers={self.layers}"),
                *(f"precision='{self.precision}'", f"data.workers={self.workers}", "optimizer.warmup=1"),
                *changes,
            ],
        )

    def open_accelerator(self) -> Accelerator:
        """Set up the device and the number format."""
        with explain_missing("a benchmark of training", DEVELOPMENT, error=SystemExit):
            from accelerate import Accelerator
        return Accelerator(cpu=self.device == "cpu", mixed_precision=self.precision)


def fill_cache(folder: Path) -> None:
    """Write the lexicon's clips into the cache, each followed by others until it is as long as a sign in datasets.

    Raises:
        FileNotFoundError: the installed lexicon lacks a clip.
    """
    corpus = read_corpus("fingerspelling_lexicon", find_installed_folder(), "all")
    clips = Clips(corpus, "signclip")
    parsed = [clips.read_features(number) for number in range(len(clips))]
    cache = FeatureCache(folder / "cache")
    lengths = lengths_of("mixed clips", len(parsed))
    longer = []
    for number, (example, frames) in enumerate(zip(corpus.examples, lengths, strict=True)):
        key = cache.make_key(corpus.name, example, clips.kind, clips.options)
        if key is None:
            raise FileNotFoundError(example.path)
        longer.append((key, join(islice(cycle(parsed), number, None), int(frames))))
    cache.add(longer)


def join(clips: Iterator[Float32Array], frames: int) -> Float32Array:
    """Join clips, float32 (frames, dim) each, until there are so many frames: float32 (frames, dim)."""
    joined = [next(clips)]
    while sum(map(len, joined)) < frames:
        joined.append(next(clips))
    return np.concatenate(joined)[:frames]


def open_clips(run: ClipExperiment) -> Clips:
    """Open the clips of a run, which are in the cache."""
    corpus = read_corpus("fingerspelling_lexicon", find_installed_folder(), "all")
    return Clips(corpus, "signclip").fill_cache(FeatureCache(run.data.cache or Path("runs/cache")))


def open_source(run: ClipExperiment) -> ClipBatches:
    """Open the batches of a run, whose clips are in the cache."""
    return ClipBatches(run, run.data, tokenizer=tokenizer())


def tokenizer() -> Tokenizer:
    """A BERT's, of 30,522 pieces."""
    return load_tokenizer(GOLDEN / "tokenizer", lowercase=False)


def build(run: Experiment) -> SignClip:
    """Build the run's model with seeded weights."""
    torch.manual_seed(run.seed)
    return SignClip(run.model, vocab_size=tokenizer().vocab_size)


def count_operations(run: ClipExperiment, source: ClipBatches, steps: int) -> float:
    """Count the multiplications and additions of a step, without padding; the mean over some steps."""
    total = 0
    for step in range(steps):
        batch = source[step]
        frames, tokens = batch.frame_mask.sum(dim=1).tolist(), batch.attention_mask.sum(dim=1).tolist()
        total += sum(tower_operations(run.model.pose_tower, count + 2) for count in frames)
        total += sum(tower_operations(run.model.text_tower, count) for count in tokens)
    return PASSES * total / steps
