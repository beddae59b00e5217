"""The `data` section of runs on the clips of data sets: `kind: clips`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from corpora.examples import Split
from corpora.prompts import write_prompts
from corpora.registry import CORPORA, DATA, read_corpus
from training.sections.section import DataSection, Section

if TYPE_CHECKING:
    from accelerate import Accelerator

    from models.tokenization import Tokenizer
    from training.experiment import Experiment
    from training.loop import PreparedRun


class ClipAugmentation(Section):
    """The strengths of augmentation. If all are zero, clips are not changed."""

    flip: float = Field(0.0, ge=0, le=1, description="share of clips that are mirrored; the authors' 0.2")
    rotation: float = Field(0.0, ge=0, description="standard deviation in radians; 0.2 in pose-format's augment2d")
    shear: float = Field(0.0, ge=0, description="standard deviation, x by y; 0.2")
    scale: float = Field(0.0, ge=0, description="standard deviation, of y; 0.2")
    temporal: float = Field(0.0, ge=0, description="standard deviation of new over old number of frames; 0.2")
    noise: float = Field(0.0, ge=0, description="standard deviation in shoulder widths; 0.001")

    @property
    def is_active(self) -> bool:
        """Whether any clip is changed."""
        return any(self.model_dump().values())


# A loader's worker takes some 4 s of a core to start, most of it for importing PyTorch, and an augmented clip from the
# cache some 0.3 ms. Two workers for training and two for validation are worth their start from here on.
FEW_CLIPS = 50_000
WORKERS = 2
# Where a run's own tokenizer lies, below its logs. It reaches the model's folder together with weights that know its
# words. There it would at once replace the words of a model that an earlier start of the run wrote.
OWN_TOKENIZER = "own_tokenizer"


class CorpusPart(Section):
    """A part of a data set."""

    dataset: str = Field(description="a name of corpora.CORPORA")
    root: Path = Field(description="the data set's folder, relative to data.folder")
    split: Split = "train"

    @field_validator("dataset")
    @classmethod
    def _dataset_exists(cls, value: str) -> str:
        if value not in CORPORA:
            raise ValueError(f"there is no data set {value!r}; use one of {', '.join(CORPORA)}")
        return value


class ClipData(DataSection):
    """The data sets that a run learns from. Several are joined."""

    kind: Literal["clips"] = "clips"
    folder: Path = Field(DATA, description="the folder of all data sets")
    train: tuple[CorpusPart, ...] = Field(min_length=1)
    validation: tuple[CorpusPart, ...] = Field((), description="if empty, the last weights count as the best")
    cache: Path | None = Field(Path("runs/cache"), description="folder of cached features; None: parse at every step")
    workers: int | None = Field(
        None,
        ge=0,
        description="processes that make batches, and that fill the cache; None: 2, and no process for the batches of "
        "a run that reads fewer clips in all than the start of the processes costs",
    )
    unique_texts: bool = Field(False, description="no text twice in a batch, and all texts about equally often")
    skip_long: bool = Field(False, description="leave clips over max_frames out; False: cut them")
    anonymize: bool = False
    augmentation: ClipAugmentation = ClipAugmentation()

    @model_validator(mode="after")
    def _lengths_are_known(self) -> ClipData:
        if self.skip_long and self.cache is None:
            raise ValueError("skip_long needs lengths before clips are read, and only a cache has them: set data.cache")
        return self

    def prepare(self, run: Experiment, accelerator: Accelerator) -> PreparedRun:
        """Prepare a run on these clips; see DataSection.

        Raises:
            DataError, CorpusError: batches cannot be made of the data sets.
            InitializationError, ModelsError: the tokenizer or the weights to start from are missing or do not fit.
        """
        # Imported here, because reading an experiment file needs neither torch nor batches.
        from evaluation.provenance import describe_examples
        from training.batches import ProcessShare
        from training.clips.batches import ClipBatches
        from training.initialization import build_model
        from training.loop import PreparedRun, Sources
        from training.runs.model_folder import copy_tokenizer

        # The main process goes first: it fills the feature cache and downloads what is missing, for the others too.
        with accelerator.main_process_first():
            tokenizer, folder = self._find_tokenizer(run, accelerator)
            model = build_model(run, vocab_size=tokenizer.vocab_size, cls_id=tokenizer.cls_id, sep_id=tokenizer.sep_id)
            share = ProcessShare(accelerator.process_index, accelerator.num_processes)
            training = ClipBatches(run, self, tokenizer=tokenizer, share=share)
            # Validation is shared out in whole batches, so every process has all of them.
            validation = ClipBatches(run, self, tokenizer=tokenizer, validation=True) if self.validation else None
        parts = {"training": training} | ({} if validation is None else {"validation": validation})
        clips = run.batch.size * run.count_steps(training.steps_per_epoch)
        return PreparedRun(
            model,
            Sources(training, validation, self.choose_workers(clips)),
            partial(copy_tokenizer, folder),
            data={part: self._describe(part) | describe_examples(batches.examples) for part, batches in parts.items()},
            left_out={part: batches.skipped for part, batches in parts.items()},
            warnings=[f"{part}: {batches.collapse}" for part, batches in parts.items() if batches.collapse],
        )

    def _find_tokenizer(self, run: Experiment, accelerator: Accelerator) -> tuple[Tokenizer, Path]:
        from models.tokenization import load_tokenizer
        from training.initialization import find_tokenizer
        from training.vocabulary import make_tokenizer

        if run.start.vocabulary is None:
            return find_tokenizer(run)
        folder = run.logs_folder / OWN_TOKENIZER
        if not accelerator.is_main_process:  # The main process went first, and wrote it.
            return load_tokenizer(folder), folder
        corpora = [read_corpus(part.dataset, self.folder / part.root, part.split) for part in self.train]
        prompts = [prompt for corpus in corpora for prompt in write_prompts(run.model.prompt, corpus.examples)]
        return make_tokenizer(prompts, folder, size=run.start.vocabulary), folder

    def choose_workers(self, clips: int) -> int:
        """Choose how many processes make batches.

        Args:
            clips: that the whole run reads, each as often as it is read.
        """
        if self.workers is not None:
            return self.workers
        return 0 if self.cache is not None and clips < FEW_CLIPS else WORKERS

    def _describe(self, part: str) -> dict[str, list[str]]:
        corpora = self.train if part == "training" else self.validation
        return {"from": [f"{corpus.dataset} {corpus.root} {corpus.split}" for corpus in corpora]}
