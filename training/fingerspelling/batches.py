"""Batches of fingerspelled letters, each clip read, changed and described anew: data of kind hands."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.architecture import SignClip
from models.hand_geometry import (
    describe_hands,
    describe_readings,
    drop_idle_hand,
    mirror_left_handed,
    read_sampled_frames,
    split_hands,
)
from training.batches import Batch
from training.experiment import Experiment, ExperimentError
from training.fingerspelling.augmentation import Augmentation, augment, draw_moments
from training.fingerspelling.lexicon import Clip, depth_corrections
from training.fingerspelling.prompts import PromptVariation, letter_ids, token_batch
from training.loss import soft_targets
from training.sections.hands import HandData
from training.seeds import BATCHES, derive_seed


@dataclass(frozen=True)
class LetterClips:
    """All clips in memory as hands, ready to be read at any moments; rows are clips.

    Attributes:
        points: float32 (clips, frames, 2, 21, 3), right-dominant. seen: bool (clips, frames, 2).
        frame_counts: int64 (clips,). letters: int64 (clips,). depth: float32 (clips,), see depth_corrections.
    """

    clips: list[Clip]
    points: Tensor
    seen: Tensor
    frame_counts: Tensor
    letters: Tensor
    depth: Tensor

    @classmethod
    def load(cls, clips: Sequence[Clip]) -> "LetterClips":
        clips = list(clips)
        hands = [_right_dominant_hands(clip) for clip in clips]
        points = pad_sequence([points for points, _ in hands], batch_first=True)
        seen = pad_sequence([seen for _, seen in hands], batch_first=True)
        frame_counts = torch.tensor([len(clip.features) for clip in clips])
        return cls(clips, points, seen, frame_counts, torch.from_numpy(letter_ids(clips)), depth_corrections(clips))


def _right_dominant_hands(clip: Clip) -> tuple[Tensor, Tensor]:
    # (frames, 2, 21, 3) and (frames, 2). Clip by clip: padding the whole features would take ten times the memory.
    points, seen = split_hands(torch.from_numpy(clip.features)[None])
    points, seen = mirror_left_handed(points, seen, torch.ones(1, len(clip.features), dtype=torch.bool))
    return points[0], seen[0]


def draw_geometry(
    data: LetterClips, rows: Tensor, steps: int, strength: Augmentation, chance: torch.Generator
) -> Tensor:
    """Read and describe clips as if each had been filmed anew; float32 (rows, steps, features)."""
    moments = draw_moments(data.frame_counts[rows], steps, strength, chance)
    # Only the moments' neighbours are gathered: the longest clip is ten times the typical one.
    points, seen = read_sampled_frames(data.points, data.seen, moments, rows)
    points, seen = augment(points, seen, data.depth[rows], strength, chance)
    return describe_hands(points, seen)


def served_geometry(data: LetterClips, steps: int) -> Tensor:
    """Describe all clips as they are served; float32 (clips, crops, steps, features)."""
    return describe_readings(*drop_idle_hand(data.points, data.seen), data.frame_counts, steps)


def draw_texts(
    data: LetterClips, rows: Tensor, prompts: PromptVariation, chance: random.Random
) -> tuple[list[str], Tensor]:
    """Write each clip's prompt; texts and bool (rows,), whether they name the sign language."""
    spoken_tags = sorted({clip.spoken for clip in data.clips})
    drawn = [prompts.draw(data.clips[row], spoken_tags, chance) for row in rows.tolist()]
    return [text for text, _ in drawn], torch.tensor([named for _, named in drawn])


class HandBatches:
    """A BatchSource over the lexicon's clips, drawn with replacement.

    Args:
        run: the recipe; its data is of kind hands, and it counts steps.
        clips: what to learn.
        tokenizer: of build_tokenizer.
        moments: how many the model reads of a clip.
        process_index, process_count: which of the joint batch's rows are this process's.
    """

    def __init__(
        self,
        run: Experiment,
        clips: Sequence[Clip],
        tokenizer: Tokenizer,
        *,
        moments: int,
        process_index: int = 0,
        process_count: int = 1,
    ) -> None:
        if not isinstance(run.data, HandData) or run.steps is None:
            raise ExperimentError(f"{run.name}: data of kind hands and a number of steps are needed")
        if run.rest is not None and run.data.resting.pairs % process_count:
            raise ExperimentError(
                f"data.resting.pairs {run.data.resting.pairs} is no multiple of {process_count} processes"
            )
        self._data, self._size, self._seed = run.data, run.batch.size, run.seed
        self._settled_after = run.steps if run.rest is None else min(run.rest.after, run.steps)
        self._clips = LetterClips.load(clips)
        self._tokenizer = tokenizer
        self._moments = moments
        self._process = (process_index, process_count)
        self._served: Tensor | None = None if run.rest is None else served_geometry(self._clips, moments)

    @property
    def steps_per_epoch(self) -> int:
        """How many steps show every clip about once."""
        return -(-len(self._clips.clips) // self._size)

    def __getitem__(self, step: int) -> Batch:
        """Make this process's rows of one step's batch. All are drawn, so that processes agree on the rest."""
        seed = derive_seed(self._seed, BATCHES, step)
        chance = torch.Generator().manual_seed(seed)
        resting = self._served is not None and step >= self._settled_after
        pairs = self._data.resting.pairs if resting else self._size
        rows = torch.randint(len(self._clips.clips), (pairs,), generator=chance)
        texts, named = draw_texts(self._clips, rows, self._data.prompts, random.Random(seed))
        if resting and self._served is not None:
            geometry = self._served[rows]
        else:
            strength = self._data.augmentation_at(step, self._settled_after)
            geometry = draw_geometry(self._clips, rows, self._moments, strength, chance)
        input_ids, attention_mask = token_batch(self._tokenizer, texts)
        marks = (rows, self._clips.letters[rows], named.long(), torch.full_like(rows, resting))
        frame_mask = torch.ones(geometry.shape[0], self._moments, dtype=torch.bool)
        joint = Batch(
            geometry, frame_mask, input_ids, attention_mask, torch.stack(marks, dim=1), described=True
        )  # marks: (pairs, 4)
        index, count = self._process
        return joint if count == 1 else joint.rows(slice(index * pairs // count, (index + 1) * pairs // count))

    def targets(self, marks: Tensor) -> Tensor:
        """Say how much of each text is true of each clip; see soft_targets."""
        clip_ids, letters, named, resting = marks.unbind(dim=1)
        same_letter = self._data.resting.same_letter if resting[0] else self._data.same_letter
        return soft_targets(clip_ids, letters, named.bool(), same_letter=same_letter)


def geometry_moments(model: SignClip) -> int:
    """How many moments of a clip a model reads.

    Raises:
        ExperimentError: it reads no hand geometry.
    """
    if model.pose_tower.geometry is None:
        raise ExperimentError(
            f"model {model.config.name!r} reads no hand geometry, which is all that data of kind hands is good for"
        )
    return model.pose_tower.geometry.steps
