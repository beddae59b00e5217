"""Batches of clips and their prompts, from one or several data sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from corpora.arrays import Float32Array, Int32Array, Int64Array
from corpora.cache import FeatureCache
from corpora.errors import CorpusError
from corpora.examples import Example
from corpora.feature_kinds import get_feature_dim
from corpora.loading import Clips, track_clips
from corpora.prompts import write_prompts
from corpora.registry import read_corpus
from evaluation.token_rows import describe_collapse
from models.catalog import ModelConfig
from models.tokenization import Tokenizer
from poses import FeatureOptions, Trim
from training.batches import ProcessShare
from training.clips.augmentation import augment_clip, check_augmentation
from training.clips.sampling import Sampler, ShuffledSampler, UniqueTextSampler, ValidationSampler
from training.errors import DataError
from training.experiment import Experiment
from training.packed_batches import PackedBatch, pack_pairs
from training.sections.clips import WORKERS, ClipAugmentation, ClipData, CorpusPart

# Texts that are turned into word pieces together. Spreadthesign's 400,000 at once would take gigabytes.
PROMPTS_AT_ONCE = 8192
_WHOLE_BATCH = ProcessShare()


class ClipBatches:
    """A BatchSource, or ValidationBatches, of joined data sets. It can be sent to a loader's workers.

    The first use of a cache parses all clips, in this process and its workers. If several processes train together,
    let the main process go first.

    Args:
        run: its seed, batch size and model.
        data: its section of data.
        tokenizer: of the model.
        share: the rows of each joint batch that this process makes.
        validation: read the validation parts, without augmentation, as the same batches in every epoch.
    Attributes:
        examples: of the clips, in the order of their numbers; empty in a loader's worker.
        skipped: by id, why other clips are left out; empty in a loader's worker.
        collapse: a warning of prompts that the model cannot tell apart; None if there are none.
    Raises:
        DataError: the data do not fit the model or the batch size.
        CorpusError: a data set cannot be read, or none of its clips can be used.
    """

    def __init__(
        self,
        run: Experiment,
        data: ClipData,
        *,
        tokenizer: Tokenizer,
        share: ProcessShare = _WHOLE_BATCH,
        validation: bool = False,
    ) -> None:
        # The kind that the model is served with. Any other would give it numbers that it never saw.
        self._kind = run.model.features
        if get_feature_dim(self._kind) != run.model.feature_dim:
            raise DataError(
                f"{self._kind} features have {get_feature_dim(self._kind)} numbers a frame, but the model takes "
                f"{run.model.feature_dim}: set model.features or model.feature_dim"
            )
        self._augmentation = ClipAugmentation() if validation else data.augmentation
        check_augmentation(self._augmentation, self._kind)
        self._seed, self._max_frames, self._share = run.seed, run.model.max_frames, share
        # A tower in half precision rounds features to it first of all. Hand geometry is computed in float32 before.
        halved = run.precision != "no" and run.model.pose_frontend != "hand_geometry"
        self._dtype = torch.float16 if halved else torch.float32
        self.skipped: dict[str, str] = {}
        parts = data.validation if validation else data.train
        self._parts = [_read_part(part, data, self._kind, trim=run.model.trim) for part in parts]
        self._numbers = self._choose_clips(skip_long=data.skip_long)
        self.examples = [self._find_example(number) for number in range(len(self._numbers))]
        self._texts, self._pieces, self.collapse = _tokenize(self.examples, run.model, tokenizer)
        self._sampler = self._open_sampler(run.batch.size, validation=validation, unique=data.unique_texts)

    def __getstate__(self) -> dict[str, object]:
        # A loader's worker makes batches, which needs no texts and, with a cache, no paths.
        parts = [clips.drop_examples() for clips in self._parts]
        return {**vars(self), "_parts": parts, "examples": [], "skipped": {}}

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps that show every clip about once."""
        return self._sampler.steps_per_epoch

    def __len__(self) -> int:
        """Return the number of batches in an epoch. For validation this is all batches."""
        return self.steps_per_epoch

    def __getitem__(self, step: int) -> PackedBatch:
        """Make this process's rows of one step's batch.

        Raises:
            ClipError: a clip's file cannot be used. This never happens with a cache, which leaves such clips out.
            CacheError: the cache's files were changed in the meantime.
        """
        joint = self._sampler.draw_rows(step)
        chosen = self._share.find_rows(len(joint))
        rows = joint[chosen]
        clips = [
            self._read_features(int(row), (self._seed, step, place)) for place, row in enumerate(rows, chosen.start)
        ]
        texts = self._texts[rows]
        pieces = [self._pieces[text] for text in texts]
        return pack_pairs(clips, pieces, marks=texts[:, None], dtype=self._dtype, joint_pairs=len(joint))

    def make_targets(self, marks: Tensor) -> None:
        """Make no targets: as in the authors' code, a text is true of its own clip only, even if others share it.

        Args:
            marks: int64 (pairs, 1), the number of each pair's text.
        """

    def _choose_clips(self, *, skip_long: bool) -> Int64Array:
        # (clips, 2): the part of each clip, and the clip's number in it.
        chosen = []
        for place, clips in enumerate(self._parts):
            numbers = np.arange(len(clips))
            skipped = {note.id: note.reason for note in (*clips.corpus.skipped, *clips.unreadable)}
            if skip_long and clips.frames is not None:
                for number in np.flatnonzero(clips.frames > self._max_frames):
                    frames = f"{clips.frames[number]} frames; the model takes {self._max_frames}"
                    skipped[clips.corpus.examples[number].id] = frames
                numbers = np.flatnonzero(clips.frames <= self._max_frames)
            if not len(numbers):
                reason = next(iter(skipped.values()), "the data set has no examples")
                raise CorpusError(
                    f"none of the clips of {clips.corpus.name} in {clips.corpus.root} can be used: {reason}"
                )
            self.skipped |= skipped
            chosen.append(np.stack((np.full(len(numbers), place), numbers), axis=1))
        all_chosen: Int64Array = np.concatenate(chosen).astype(np.int64)
        return all_chosen

    def _open_sampler(self, batch_size: int, *, validation: bool, unique: bool) -> Sampler:
        if validation:
            return ValidationSampler(len(self.examples), batch_size, seed=self._seed)
        if unique:
            return UniqueTextSampler(self._texts, batch_size, seed=self._seed)
        return ShuffledSampler(len(self.examples), batch_size, seed=self._seed)

    def _find_example(self, number: int) -> Example:
        part, place = map(int, self._numbers[number])
        return self._parts[part].corpus.examples[place]

    def _read_features(self, number: int, seed: Sequence[int]) -> Float32Array:
        part, place = map(int, self._numbers[number])
        features = self._parts[part].read_features(place)
        if self._augmentation.is_active:
            # A generator for each row of the joint batch, so that it makes no difference which process makes the row.
            rng = np.random.default_rng(seed)
            features = augment_clip(
                features, self._kind, strength=self._augmentation, rng=rng, max_frames=self._max_frames
            )
        return features[: self._max_frames]


def _read_part(part: CorpusPart, data: ClipData, kind: str, *, trim: Trim) -> Clips:
    corpus = read_corpus(part.dataset, data.folder / part.root, part.split)
    clips = Clips(corpus, kind, options=FeatureOptions(anonymize=data.anonymize, trim=trim))
    if data.cache is None:
        return clips
    # The bar appears on a terminal only, and only if there is something to parse.
    with tqdm(desc=f"{part.dataset} {part.split}", unit=" clips", disable=None, leave=False) as bar:
        return clips.fill_cache(
            FeatureCache(data.cache),
            workers=WORKERS if data.workers is None else data.workers,
            on_clip=track_clips(bar),
        )


def _tokenize(
    examples: Sequence[Example], model: ModelConfig, tokenizer: Tokenizer
) -> tuple[Int64Array, list[Int32Array], str | None]:
    # int64 (clips,), the number of each clip's prompt; int32 (tokens,) for each different prompt; and a warning.
    numbers: dict[str, int] = {}
    prompts = write_prompts(model.prompt, examples)
    texts = np.array([numbers.setdefault(prompt, len(numbers)) for prompt in prompts], dtype=np.int64)
    different = list(numbers)
    pieces = [
        tokenizer.build_input_ids(ids, max_pieces=model.max_pieces)
        for start in range(0, len(different), PROMPTS_AT_ONCE)
        for ids in tokenizer.split(different[start : start + PROMPTS_AT_ONCE])
    ]
    return texts, pieces, describe_collapse(different, [ids.tobytes() for ids in pieces])
