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

from models.architecture import SignClip
from models.catalog import ModelConfig
from models.hand_geometry import describe_hands, mirror_left_handed, read_moments, split_hands
from training.augmentation import Augmentation, augment, draw_moments
from training.datasets.fingerspelling import Clip, depth_corrections
from training.experiment import Experiment
from training.loss import soft_targets, symmetric_info_nce
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


def _learning_rate(step: int, run: Experiment) -> float:
    rise = min(1.0, (step + 1) / max(run.warmup, 1))
    return rise * (1 + math.cos(math.pi * step / run.steps)) / 2


def _optimizer(model: SignClip, log_scale: nn.Parameter, run: Experiment) -> torch.optim.AdamW:
    # Only matrices decay: biases, norms and the scale have nothing to gain from being small.
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": run.weight_decay},
        {"params": [*others, log_scale], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=run.learning_rate, fused=True)


def _embed(
    model: SignClip, geometry: Tensor, texts: list[str], tokenizer: Tokenizer, *, bfloat16: bool
) -> tuple[Tensor, Tensor]:
    # Unit vectors of poses and texts. Only the towers run in bfloat16: the loss compares numbers that are close.
    input_ids, attention_mask = token_batch(tokenizer, texts)
    lengths = attention_mask.sum(dim=1)
    order = lengths.argsort(stable=True)
    groups = order.split(lengths.bincount()[lengths.unique()].tolist())
    frame_mask = torch.ones(geometry.shape[:2], dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        poses = model.pose_tower.encode_frames(geometry, frame_mask)
        # Equal lengths together: a third of the texts are a third as long as the others.
        vectors = [
            model.text_tower(input_ids[rows, : lengths[rows[0]]], attention_mask[rows, : lengths[rows[0]]])
            for rows in groups
        ]
    text_vectors = torch.cat(vectors)[order.argsort()]
    return functional.normalize(poses.float(), dim=-1), functional.normalize(text_vectors.float(), dim=-1)


def train(
    run: Experiment,
    config: ModelConfig,
    clips: list[Clip],
    tokenizer: Tokenizer,
    report: Callable[[int, float], None] | None = None,
) -> SignClip:
    """Train from scratch; the same run on the same clips gives the same weights on one machine.

    Args:
        run: the recipe.
        config: sizes; its vocab_size and logit_scale are replaced by what the tokenizer has and training finds.
        clips: what to learn.
        tokenizer: of build_tokenizer.
        report: called after every step with the step's number and loss.
    Returns:
        the model in evaluation mode, its config final.
    """
    torch.manual_seed(run.seed)
    tensor_chance = torch.Generator().manual_seed(run.seed)
    text_chance = random.Random(run.seed)
    text_tower = config.text_tower.model_copy(update={"vocab_size": tokenizer.get_vocab_size()})
    config = config.model_copy(update={"text_tower": text_tower})
    model = SignClip(config).train()
    log_scale = nn.Parameter(torch.tensor(-math.log(run.temperature)))
    data = LetterClips.load(clips)
    optimizer = _optimizer(model, log_scale, run)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate(step, run))
    for step in range(run.steps):
        rows = torch.randint(len(clips), (run.batch_size,), generator=tensor_chance)
        texts, named = draw_texts(data, rows, run, text_chance)
        geometry = draw_geometry(data, rows, model, run.augmentation_at(step), tensor_chance)
        poses, text_vectors = _embed(model, geometry, texts, tokenizer, bfloat16=run.bfloat16)
        scores = text_vectors @ poses.T * log_scale.exp().clamp(max=LARGEST_SCALE)
        targets = soft_targets(rows, data.letters[rows], named, same_letter=run.same_letter)
        loss = symmetric_info_nce(scores, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        if report is not None:
            report(step, loss.item())
    logit_scale = round(min(log_scale.exp().item(), LARGEST_SCALE), 4)
    model.config = config.model_copy(update={"logit_scale": logit_scale})
    return model.eval()
