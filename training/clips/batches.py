"""Batches of clips and their prompts from one or several data sets: `data: {kind: clips, …}` of a run's file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor
from tqdm import tqdm

from corpora import CORPORA, Clips, Example, FeatureCache, Split, get_feature_dim, read_corpus
from corpora.errors import CorpusError
from corpora.loading import track_clips
from corpora.prompts import write_prompts
from corpora.registry import DATA
from models.batching import pad
from models.catalog import ModelConfig
from models.tokenization import Tokenizer
from poses import FeatureOptions
from training.batches import Batch
from training.clips.augmentation import ClipAugmentation, augment_clip
from training.clips.sampling import (
    EachOnce,
    Sampler,
    Shuffled,
    UniqueTexts,
)

Floats = npt.NDArray[np.float32]
PROMPTS_AT_ONCE = 8192
"""Texts that are turned into word pieces together: Spreadthesign's 400,000 would take gigabytes on the way."""


class CorpusPart(BaseModel):
    """A data set's part to learn from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str = Field(description="a name of corpora.CORPORA")
    root: Path = Field(description="where it lies, from data.folder")
    split: Split = "train"

    @field_validator("dataset")
    @classmethod
    def _dataset_exists(cls, value: str) -> str:
        if value not in CORPORA:
            raise ValueError(f"there is no data set {value!r}; there are {', '.join(CORPORA)}")
        return value


class ClipData(BaseModel):
    """What a run learns from; several data sets are joined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["clips"] = "clips"
    folder: Path = Field(DATA, description="where data sets lie")
    train: tuple[CorpusPart, ...] = Field(min_length=1)
    validation: tuple[CorpusPart, ...] = Field((), description="none: the last weights count as the best")
    features: str | None = Field(None, description="a kind of corpora.feature_kinds; None: the model's")
    cache: Path | None = Field(Path("runs/cache"), description="features are kept here; None: parse at every step")
    workers: int = Field(2, ge=0, description="processes that make batches, and that fill the cache")
    unique_texts: bool = Field(False, description="no text twice in a batch, and all texts about as often")
    skip_long: bool = Field(False, description="leave clips over max_frames out; False: cut them")
    anonymize: bool = False
    augmentation: ClipAugmentation = ClipAugmentation()

    @model_validator(mode="after")
    def _lengths_are_known(self) -> ClipData:
        if self.skip_long and self.cache is None:
            raise ValueError("skip_long needs to know lengths before reading, which the cache does: set data.cache")
        return self


class ClipBatches:
    """Batches of joined data sets; see training.batches.BatchSource. Goes to a loader's worker processes.

    The first use of a cache parses all clips, in this process and its workers: of several training processes, let the
    main one go first.

    Attributes:
        examples: of the clips, in the order of their numbers; none in a loader's worker.
        skipped: why clips are left out, by id.
    """

    def __init__(
        self,
        data: ClipData,
        model: ModelConfig,
        tokenizer: Tokenizer,
        *,
        seed: int,
        batch_size: int,
        process_index: int = 0,
        process_count: int = 1,
        validation: bool = False,
    ) -> None:
        """
        Args:
            data: the section of the run's file.
            model: whose features, prompt, max_frames and max_tokens count.
            tokenizer: of the model.
            seed: of order and augmentation.
            batch_size: joint, over all processes; of validation the largest.
            process_index, process_count: this process makes its rows of the joint batch, in the processes' order.
            validation: the validation parts: nothing augmented, the same batches again and again.
        Raises:
            ValueError: batches cannot be made of what there is.
            CorpusError: a data set is not as it should be, or no clip of it can be used.
        """
        if batch_size % process_count:
            raise ValueError(f"batch.size is {batch_size}, which {process_count} processes cannot share evenly")
        self._kind = data.features or model.features
        if get_feature_dim(self._kind) != model.feature_dim:
            dim = get_feature_dim(self._kind)
            raise ValueError(f"{self._kind} features have {dim} numbers a frame, the model takes {model.feature_dim}")
        self._augmentation = ClipAugmentation() if validation else data.augmentation
        self._augmentation.check(self._kind)
        self._seed, self._max_frames, self._validation = seed, model.max_frames, validation
        self._process_index, self._process_count = process_index, process_count
        self.skipped: dict[str, str] = {}
        self._parts = [_read_part(part, data, self._kind) for part in (data.validation if validation else data.train)]
        self._numbers = self._choose(data)
        self.examples = [self._example(number) for number in range(len(self._numbers))]
        self._texts, self._pieces = _tokenize(self.examples, model, tokenizer)
        self._sampler = self._sample(batch_size, unique=data.unique_texts)

    def __getstate__(self) -> dict[str, object]:
        # A loader's worker makes batches, for which it needs no texts and, with a cache, no paths.
        parts = [clips.drop_examples() for clips in self._parts]
        return {**vars(self), "_parts": parts, "examples": [], "skipped": {}}

    @property
    def steps_per_epoch(self) -> int:
        return self._sampler.steps_per_epoch

    def __len__(self) -> int:
        """How many batches there are in an epoch, which is all of validation."""
        return self.steps_per_epoch

    def __getitem__(self, step: int) -> Batch:
        """Make this process's rows of one step's batch.

        Raises:
            ClipError: without a cache, a file that cannot be used; a cache leaves such clips out.
        """
        joint = self._sampler.rows(step)
        share = len(joint) // self._process_count
        first = self._process_index * share
        rows = joint[first : first + share]
        clips = [self._features(int(row), (self._seed, step, first + place)) for place, row in enumerate(rows)]
        features, frame_mask = pad(clips, dtype=np.float32)
        texts = self._texts[rows]
        input_ids, attention_mask = pad([self._pieces[text] for text in texts], dtype=np.int64)
        return Batch(
            torch.from_numpy(features),
            torch.from_numpy(frame_mask),
            torch.from_numpy(input_ids),
            torch.from_numpy(attention_mask),
            torch.from_numpy(texts[:, None]),
        )

    def targets(self, marks: Tensor) -> None:
        """Each text is true of its own clip only, even where another clip has it too, as the authors do."""

    def _choose(self, data: ClipData) -> npt.NDArray[np.int64]:
        # (clips, 2): which part and which of its clips each clip is.
        chosen = []
        for place, clips in enumerate(self._parts):
            numbers = np.arange(len(clips))
            self.skipped |= {note.id: note.reason for note in (*clips.corpus.skipped, *clips.unreadable)}
            if data.skip_long and clips.frames is not None:
                for number in np.flatnonzero(clips.frames > self._max_frames):
                    frames = f"{clips.frames[number]} frames; the model takes {self._max_frames}"
                    self.skipped[clips.corpus.examples[number].id] = frames
                numbers = np.flatnonzero(clips.frames <= self._max_frames)
            if not len(numbers):
                reason = next(iter(self.skipped.values()), "it has no examples")
                raise CorpusError(
                    f"none of the clips of {clips.corpus.name} in {clips.corpus.root} can be used: {reason}"
                )
            chosen.append(np.stack((np.full(len(numbers), place), numbers), axis=1))
        return np.concatenate(chosen).astype(np.int64)

    def _sample(self, batch_size: int, *, unique: bool) -> Sampler:
        if self._validation:
            return EachOnce(len(self.examples), batch_size, self._seed, multiple=self._process_count)
        if unique:
            return UniqueTexts(self._texts, batch_size, self._seed)
        return Shuffled(len(self.examples), batch_size, self._seed)

    def _example(self, number: int) -> Example:
        part, place = self._numbers[number]
        return self._parts[part].corpus.examples[place]

    def _features(self, number: int, chance: Sequence[int]) -> Floats:
        part, place = self._numbers[number]
        features = self._parts[part].read_features(int(place))
        if self._augmentation.changes:
            # A generator for each row of the joint batch: which process or worker makes it does not matter.
            generator = np.random.default_rng(chance)
            features = augment_clip(features, self._kind, self._augmentation, generator, max_frames=self._max_frames)
        return features[: self._max_frames]


def _read_part(part: CorpusPart, data: ClipData, kind: str) -> Clips:
    corpus = read_corpus(part.dataset, data.folder / part.root, part.split)
    clips = Clips(corpus, kind, options=FeatureOptions(anonymize=data.anonymize))
    if data.cache is None:
        return clips
    # On a terminal only, and once there is something to parse: a cache that is full says nothing.
    with tqdm(desc=f"{part.dataset} {part.split}", unit=" clips", disable=None, leave=False) as bar:
        return clips.fill_cache(FeatureCache(data.cache), workers=data.workers, on_clip=track_clips(bar))


def _tokenize(
    examples: Sequence[Example], model: ModelConfig, tokenizer: Tokenizer
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int32]]]:
    """Number the different prompts and turn each into ids once; int64 (clips,), and int32 (tokens,) each."""
    numbers: dict[str, int] = {}
    prompts = write_prompts(model.prompt, examples)
    texts = np.array([numbers.setdefault(prompt, len(numbers)) for prompt in prompts], dtype=np.int64)
    different = list(numbers)
    pieces = [
        tokenizer.build_input_ids(ids, max_pieces=model.max_pieces)
        for start in range(0, len(different), PROMPTS_AT_ONCE)
        for ids in tokenizer.split(different[start : start + PROMPTS_AT_ONCE])
    ]
    return texts, pieces
