"""Train one small SignCLIP on fingerspelled letters."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from evaluation.letters import embed_clips
from models.architecture import SignClip
from models.catalog import ModelConfig
from models.hand_geometry import describe_hands, mirror_left_handed, read_moments, split_hands
from training.augmentation import Augmentation, augment, draw_moments
from training.datasets.fingerspelling import Clip, depth_corrections
from training.experiment import Experiment
from training.loss import soft_cross_entropy, soft_targets, symmetric_info_nce
from training.prompts import letter_ids, token_batch

LARGEST_SCALE = 100.0
"""Upper bound of the learned logit scale, as in CLIP (Radford et al., 2021, section 2.5)."""
LARGEST_GRADIENT = 1.0


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
    def load(cls, clips: list[Clip]) -> "LetterClips":
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
    data: LetterClips, rows: Tensor, model: SignClip, strength: Augmentation, chance: torch.Generator
) -> Tensor:
    """Read and describe clips as if each had been filmed anew; float32 (rows, steps, features)."""
    reader = model.pose_tower.geometry
    if reader is None:
        raise ValueError(f"model {model.config.name!r} reads no hand geometry, which is all this data set is good for")
    moments = draw_moments(data.frame_counts[rows], reader.steps, strength, chance)
    # Only the moments' neighbours are gathered: the longest clip is ten times the typical one.
    points, seen = read_moments(data.points, data.seen, moments, rows)
    points, seen = augment(points, seen, data.depth[rows], strength, chance)
    return describe_hands(points, seen)


def draw_texts(data: LetterClips, rows: Tensor, run: Experiment, chance: random.Random) -> tuple[list[str], Tensor]:
    """Write each clip's prompt; texts and bool (rows,), whether they name the sign language."""
    spoken_tags = sorted({clip.spoken for clip in data.clips})
    drawn = [run.prompts.draw(data.clips[row], spoken_tags, chance) for row in rows.tolist()]
    return [text for text, _ in drawn], torch.tensor([named for _, named in drawn])


@dataclass
class Learner:
    """One training run under way: a model, what it learns from, and its two sources of chance."""

    model: SignClip
    data: LetterClips
    tokenizer: Tokenizer
    run: Experiment
    report: Callable[[float], None]

    def __post_init__(self) -> None:
        self.log_scale = nn.Parameter(torch.tensor(-math.log(self.run.temperature)))
        self.tensor_chance = torch.Generator().manual_seed(self.run.seed)
        self.text_chance = random.Random(self.run.seed)

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def fit_both(self) -> None:
        """Train both towers on random batches of augmented clips and varied prompts."""
        run = self.run
        descend = self._descent(self.model, run.steps, run.learning_rate)
        for _ in range(run.steps):
            rows = torch.randint(len(self.data.clips), (run.batch_size,), generator=self.tensor_chance)
            geometry = draw_geometry(self.data, rows, self.model, run.augmentation, self.tensor_chance)
            texts, named = self._embed_texts(rows)
            scores = texts @ self._embed_geometry(geometry).T * self.scale
            targets = soft_targets(rows, rows, self.data.letters, named, same_letter=run.same_letter)
            descend(symmetric_info_nce(scores, targets))

    def fit_texts(self) -> None:
        """Train the text tower alone on where the pose tower puts the clips as they are served.

        A pose tower that is trained until it knows every clip apart names new signers' letters worse. The text tower
        may: that is what a dictionary is. So the poses rest, and every text meets all clips at once.
        """
        run = self.run
        vectors = torch.from_numpy(embed_clips(self.model.eval(), [clip.features for clip in self.data.clips]))
        poses = functional.normalize(vectors, dim=-1)
        descend = self._descent(self.model.text_tower.train(), run.text_steps, run.text_learning_rate)
        everyone = torch.arange(len(poses))
        for _ in range(run.text_steps):
            rows = torch.randperm(len(poses), generator=self.tensor_chance)[: run.text_batch_size]
            texts, named = self._embed_texts(rows)
            noise = torch.randn(poses.shape, generator=self.tensor_chance) * run.pose_noise
            scores = texts @ functional.normalize(poses + noise, dim=-1).T * self.scale
            targets = soft_targets(rows, everyone, self.data.letters, named, same_letter=run.same_letter)
            to_clips = soft_cross_entropy(scores, targets)
            to_texts = soft_cross_entropy(scores[:, rows].T, targets[:, rows].T)
            descend((to_clips + to_texts) / 2)

    def _embed_geometry(self, geometry: Tensor) -> Tensor:
        # Unit vectors. Only the towers run in bfloat16: the loss compares numbers that are close.
        frame_mask = torch.ones(geometry.shape[:2], dtype=torch.bool)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.run.bfloat16):
            pooled = self.model.pose_tower.encode_frames(geometry, frame_mask)
        return functional.normalize(pooled.float(), dim=-1)

    def _embed_texts(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        # Unit vectors of the rows' prompts, and whether they name the sign language.
        texts, named = draw_texts(self.data, rows, self.run, self.text_chance)
        input_ids, attention_mask = token_batch(self.tokenizer, texts)
        lengths = attention_mask.sum(dim=1)
        order = lengths.argsort(stable=True)
        # Equal lengths together: a third of the texts are a third as long as the others.
        groups = order.split(lengths.bincount()[lengths.unique()].tolist())
        with torch.autocast("cpu", torch.bfloat16, enabled=self.run.bfloat16):
            pooled = [
                self.model.text_tower(input_ids[group, : lengths[group[0]]], attention_mask[group, : lengths[group[0]]])
                for group in groups
            ]
        return functional.normalize(torch.cat(pooled)[order.argsort()].float(), dim=-1), named

    def _descent(self, module: nn.Module, steps: int, learning_rate: float) -> Callable[[Tensor], None]:
        # AdamW with warm-up and cosine. Only matrices decay: biases, norms and the scale gain nothing from being small.
        matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.run.weight_decay},
            {"params": [*others, self.log_scale], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=learning_rate, fused=True)
        warmup = max(self.run.warmup, 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / warmup) * (1 + math.cos(math.pi * step / steps)) / 2
        )

        def descend(loss: Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
            self.report(loss.item())

        return descend


def train(
    run: Experiment,
    config: ModelConfig,
    clips: list[Clip],
    tokenizer: Tokenizer,
    report: Callable[[float], None] | None = None,
) -> SignClip:
    """Train from scratch; the same run on the same clips gives the same weights on one machine.

    Args:
        run: the recipe.
        config: sizes; its vocab_size and logit_scale are replaced by what the tokenizer has and training finds.
        clips: what to learn.
        tokenizer: of build_tokenizer.
        report: called with the loss after each of the run.steps + run.text_steps steps.
    Returns:
        the model in evaluation mode, its config final.
    """
    torch.manual_seed(run.seed)
    text_tower = config.text_tower.model_copy(update={"vocab_size": tokenizer.get_vocab_size()})
    config = config.model_copy(update={"text_tower": text_tower})
    model = SignClip(config).train()
    learner = Learner(model, LetterClips.load(clips), tokenizer, run, report or (lambda _: None))
    learner.fit_both()
    if run.text_steps:
        learner.fit_texts()
    model.config = config.model_copy(update={"logit_scale": round(learner.scale.item(), 4)})
    return model.eval()
