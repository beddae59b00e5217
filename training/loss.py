"""The contrastive loss: every clip against every text of the batch, both ways."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def soft_targets(clip_ids: Tensor, letters: Tensor, named: Tensor, *, same_letter: float) -> Tensor:
    """Say how much of each text is true of each clip.

    A clip's own text counts 1. Another clip of the same letter counts `same_letter` when the text names its sign
    language (alphabets agree often, not always), and 1 when it does not, for then both are right.

    Args:
        clip_ids: int (batch,), which clip a pair shows; a clip drawn twice is its own match.
        letters: int (batch,), equal for equal letters.
        named: bool (batch,), whether a pair's text names the sign language.
        same_letter: 0-1.
    Returns:
        float32 (texts, clips).
    """
    shared = (letters[:, None] == letters).float()
    targets = torch.where(named[:, None], shared * same_letter, shared)
    return torch.where(clip_ids[:, None] == clip_ids, torch.ones_like(targets), targets)


def symmetric_info_nce(
    scores: Tensor, targets: Tensor | None = None, *, directions: Literal["sum", "mean"] = "mean"
) -> Tensor:
    """Cross entropy of the softmax over clips and of that over texts.

    Args:
        scores: float32 (texts, clips), logits.
        targets: float32 of the same shape, not negative, no row or column all 0; None: each text is true of its clip.
        directions: what becomes of the two; the sum is the authors'.
    Returns:
        float32 scalar, in nats.
    Source: MMContraLoss, J22Melody/fairseq, examples/MMPT/mmpt/losses/nce.py.
    """
    if targets is None:
        own = torch.arange(len(scores), device=scores.device)
        to_clips, to_texts = functional.cross_entropy(scores, own), functional.cross_entropy(scores.T, own)
    else:
        to_clips = functional.cross_entropy(scores, targets / targets.sum(dim=1, keepdim=True))
        to_texts = functional.cross_entropy(scores.T, targets.T / targets.T.sum(dim=1, keepdim=True))
    both = to_clips + to_texts
    return both if directions == "sum" else both / 2
