"""Batches of fingerspelled letters. At every step each clip is sampled, augmented and described anew."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.architecture import PoseTower
from models.hand_geometry import (
    describe_hands,
    describe_readings,
    drop_idle_hand,
    mirror_left_handed,
    read_sampled_frames,
    split_hands,
)
from training.batches import PairBatch, ProcessShare
from training.errors import DataError
from training.experiment import Experiment
from training.fingerspelling.augmentation import augment, sample_frames
from training.fingerspelling.lexicon import LetterClip, find_depth_corrections
from training.fingerspelling.prompts import draw_prompt, number_letters, tokenize
from training.fingerspelling.targets import make_soft_targets
from training.fingerspelling.unknown import draw_unknown_clips
from training.sections.hands import HandAugmentation, HandData, PromptVariation
from training.seeds import BATCHES, derive_seed

_WHOLE_BATCH = ProcessShare()


@dataclass(frozen=True)
class SampledBatch(PairBatch):
    """Pairs whose clips are described at sampled frames: pose_features are (pairs, sampled frames, hand geometry)."""

    def pool_poses(self, tower: PoseTower) -> Tensor:
        """Run the pose tower on the sampled frames: (pairs, width)."""
        return tower.encode_frames(self.pose_features, self.frame_mask)


class ServedClips:
    """All clips as they are served, and what a frozen pose tower makes of them, which is computed once.

    Args:
        readings: float32 (clips, crops, sampled frames, hand geometry), of describe_served.
    """

    def __init__(self, readings: Tensor) -> None:
        self.readings = readings
        self._pooled: Tensor | None = None

    def pool(self, tower: PoseTower, rows: Tensor) -> Tensor:
        """Run the pose tower on some clips, int64 (pairs,): (pairs, width)."""
        if any(parameter.requires_grad for parameter in tower.parameters()):
            return tower.encode_readings(self.readings[rows.cpu()].to(rows.device))
        if self._pooled is None:
            # All at once, so that a run that resumes computes the same numbers in the same batches.
            self._pooled = tower.encode_readings(self.readings.to(rows.device))
        return self._pooled[rows]


@dataclass(frozen=True)
class ServedBatch(PairBatch):
    """Pairs whose clips are read as they are served, from several crops each.

    pose_features are empty, (pairs, 0): the first mark of a pair says which of `served` its clip is.
    """

    served: ServedClips

    def pool_poses(self, tower: PoseTower) -> Tensor:
        """Run the pose tower on all crops: (pairs, width)."""
        return self.served.pool(tower, self.marks[:, 0])

    def _cut_frames(self, pose_features: Tensor, frames: int) -> Tensor:  # noqa: ARG002
        return pose_features


@dataclass(frozen=True)
class HandClips:
    """The hands of all clips in memory, ready to be sampled at any frames. Rows are clips.

    Attributes:
        clips: the lexicon's.
        points: float32 (clips, frames, 2, 21, 3), with the right hand as the dominant one.
        seen: bool (clips, frames, 2).
        frame_counts: int64 (clips,).
        letters: int64 (clips,), see number_letters.
        depth: float32 (clips,), see find_depth_corrections.
    """

    clips: list[LetterClip]
    points: Tensor
    seen: Tensor
    frame_counts: Tensor
    letters: Tensor
    depth: Tensor

    @classmethod
    def from_clips(cls, clips: Sequence[LetterClip]) -> HandClips:
        """Cut the hands out of clips and stack them."""
        hands = [_cut_hands(clip) for clip in clips]
        return cls(
            clips=list(clips),
            points=pad_sequence([points for points, _ in hands], batch_first=True),
            seen=pad_sequence([seen for _, seen in hands], batch_first=True),
            frame_counts=torch.tensor([len(clip.features) for clip in clips]),
            letters=torch.from_numpy(number_letters(clips)),
            depth=find_depth_corrections(clips),
        )

    def __len__(self) -> int:
        return len(self.clips)


def _cut_hands(clip: LetterClip) -> tuple[Tensor, Tensor]:
    # (frames, 2, 21, 3) and (frames, 2). Clip by clip, because padding all features would take ten times the memory.
    points, seen = split_hands(torch.from_numpy(clip.features)[None])
    points, seen = mirror_left_handed(points, seen, torch.ones(1, len(clip.features), dtype=torch.bool))
    return points[0], seen[0]


def draw_geometry(
    hands: HandClips, rows: Tensor, *, count: int, strength: HandAugmentation, rng: torch.Generator
) -> Tensor:
    """Sample and describe clips as if each had been filmed anew.

    Args:
        hands: all clips.
        rows: int64 (pairs,), the clips to draw.
        count: sampled frames a clip.
        strength: of augmentation.
        rng: the source of all random numbers.
    Returns:
        float32 (pairs, sampled frames, features).
    """
    positions, lowered = sample_frames(hands.frame_counts[rows], count, strength=strength, rng=rng)
    # Only the neighbours of sampled frames are gathered, because the longest clip is ten times the typical one.
    points, seen = read_sampled_frames(hands.points, hands.seen, positions, rows)
    depth = hands.depth[rows]
    points, seen = augment(points, seen, lowered=lowered, depth_corrections=depth, strength=strength, rng=rng)
    return describe_hands(points, seen)


def describe_served(hands: HandClips, count: int) -> Tensor:
    """Describe all clips as they are served: float32 (clips, crops, sampled frames, features)."""
    return describe_readings(*drop_idle_hand(hands.points, hands.seen), hands.frame_counts, count)


def draw_texts(
    hands: HandClips, rows: Tensor, *, variation: PromptVariation, rng: random.Random
) -> tuple[list[str], Tensor]:
    """Write a prompt for each clip.

    Args:
        hands: all clips.
        rows: int64 (pairs,), the drawn clips.
        variation: how often prompts differ from the lexicon's own.
        rng: the source of all random numbers.
    Returns:
        The prompts, and bool (pairs,), whether each names the sign language.
    """
    spoken_tags = sorted({clip.spoken for clip in hands.clips})
    drawn = [draw_prompt(hands.clips[row], variation, spoken_tags=spoken_tags, rng=rng) for row in rows.tolist()]
    return [text for text, _ in drawn], torch.tensor([named for _, named in drawn])


class HandBatches:
    """A BatchSource of the lexicon's clips, which are drawn with replacement.

    Args:
        run: its seed, batch size and stages.
        data: its section of data.
        clips: to learn from.
        tokenizer: of build_tokenizer.
        sampled_frames: number of sampled frames of a clip that the model reads.
        share: the rows of each joint batch that this process makes.
    Raises:
        DataError: there are more processes than pairs in the second stage.
        PoseError, OSError: the file of a clip, whose hands clips without a letter are drawn from, cannot be read.
    """

    def __init__(
        self,
        run: Experiment,
        data: HandData,
        *,
        clips: Sequence[LetterClip],
        tokenizer: Tokenizer,
        sampled_frames: int,
        share: ProcessShare = _WHOLE_BATCH,
    ) -> None:
        freeze_after = run.freeze_after
        if freeze_after is not None and data.after_freeze.pairs < share.count:
            raise DataError(
                f"data.after_freeze.pairs {data.after_freeze.pairs} leaves some of {share.count} processes without a "
                "pair"
            )
        self._data, self._size, self._seed, self._share = data, run.batch.size, run.seed, share
        unknown = draw_unknown_clips(clips, data.unknown.clips, seed=run.seed, trim=run.model.trim)
        self._hands = HandClips.from_clips([*clips, *unknown])
        self._letters = len(clips)
        self._tokenizer = tokenizer
        self._sampled_frames = sampled_frames
        steps = run.count_steps(self.steps_per_epoch)
        self._first_stage = steps if freeze_after is None else min(freeze_after.steps, steps)
        served = None if freeze_after is None else describe_served(self._hands, sampled_frames)
        self._served = None if served is None else ServedClips(served)

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps that show every clip about once."""
        return -(-self._letters // self._size)

    def __getitem__(self, step: int) -> PairBatch:
        """Make this process's rows of one step's batch. Every process draws the whole batch, so that all agree."""
        seed = derive_seed(self._seed, BATCHES, step)
        rng = torch.Generator().manual_seed(seed)
        served = self._served if step >= self._first_stage else None
        pairs = self._size if served is None else self._data.after_freeze.pairs
        rows = self._draw_rows(pairs, rng)
        texts, named = draw_texts(self._hands, rows, variation=self._data.prompts, rng=random.Random(seed))
        input_ids, attention_mask = tokenize(self._tokenizer, texts)
        frame_mask = torch.ones(pairs, self._sampled_frames, dtype=torch.bool)
        marks = torch.stack(
            (rows, self._hands.letters[rows], named.long(), torch.full_like(rows, served is not None)), dim=1
        )  # pairs, 4
        joint: PairBatch
        if served is None:
            strength = self._data.anneal(step, self._first_stage)
            geometry = draw_geometry(self._hands, rows, count=self._sampled_frames, strength=strength, rng=rng)
            joint = SampledBatch(geometry, frame_mask, input_ids, attention_mask, marks, joint_pairs=pairs)
        else:
            clips = torch.zeros(pairs, 0)
            joint = ServedBatch(clips, frame_mask, input_ids, attention_mask, marks, served, joint_pairs=pairs)
        return joint if self._share.count == 1 else joint.select(self._share.find_rows(pairs))

    def _draw_rows(self, pairs: int, rng: torch.Generator) -> Tensor:
        # int64 (pairs,): letters come first, the clips without letters after them.
        rows = torch.randint(self._letters, (pairs,), generator=rng)
        unknown = len(self._hands) - self._letters
        if not unknown:
            return rows
        others = torch.randint(unknown, (pairs,), generator=rng) + self._letters
        return torch.where(torch.rand(pairs, generator=rng) < self._data.unknown.share, others, rows)

    def make_targets(self, marks: Tensor) -> Tensor:
        """Make the targets of a joint batch; see make_soft_targets.

        Args:
            marks: int64 (pairs, 4): clip, letter, whether the text names the sign language, whether a tower is frozen.
        Returns:
            float32 (texts, clips).
        """
        clip_ids, letters, named, frozen = marks.unbind(dim=1)
        same_letter = self._data.after_freeze.same_letter if frozen[0] else self._data.same_letter
        return make_soft_targets(clip_ids, letters, named.bool(), same_letter=same_letter)
