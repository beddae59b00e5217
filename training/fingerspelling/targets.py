"""Soft targets: how much of each letter's text is true of each clip."""

import torch
from torch import Tensor


def make_soft_targets(clip_ids: Tensor, letters: Tensor, named: Tensor, *, same_letter: float) -> Tensor:
    """Make the targets of a batch of letters.

    The target of a text and its own clip is 1. For another clip of the same letter it is `same_letter` if the text
    names the sign language, because alphabets agree often but not always. It is 1 if the text names no sign language,
    because both clips are then right.

    Args:
        clip_ids: int64 (pairs,), the clip of each pair; a clip that was drawn twice matches itself.
        letters: int64 (pairs,), equal for equal letters.
        named: bool (pairs,), whether the text names the sign language.
        same_letter: from 0 to 1.
    Returns:
        float32 (texts, clips).
    """
    shared = (letters[:, None] == letters).float()
    targets = torch.where(named[:, None], shared * same_letter, shared)
    return torch.where(clip_ids[:, None] == clip_ids, torch.ones_like(targets), targets)
