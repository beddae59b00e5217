"""The contrastive loss: every clip against every text of the batch, both ways."""

import torch
from torch import Tensor
from torch.nn import functional


def soft_targets(asked: Tensor, shown: Tensor, letters: Tensor, named: Tensor, *, same_letter: float) -> Tensor:
    """Say how much of each text is true of each clip.

    A text's own clip counts 1. Another clip of the same letter counts `same_letter` when the text names its sign
    language (alphabets agree often, not always), and 1 when it does not, for then both are right.

    Args:
        asked: int (texts,), the clip that each text belongs to, as a row of letters.
        shown: int (clips,), rows of letters; the same clip may come twice.
        letters: int (all clips,), equal for equal letters.
        named: bool (texts,), whether a text names the sign language.
        same_letter: 0-1.
    Returns:
        float32 (texts, clips).
    """
    shared = (letters[asked][:, None] == letters[shown]).float()
    targets = torch.where(named[:, None], shared * same_letter, shared)
    return torch.where(asked[:, None] == shown, torch.ones_like(targets), targets)


def soft_cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy of each row's softmax against its targets, made to sum to 1; float32 scalar, in nats."""
    return functional.cross_entropy(scores, targets / targets.sum(dim=1, keepdim=True))


def symmetric_info_nce(scores: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of the softmax over clips and of that over texts, averaged.

    With the identity as targets and summed instead of averaged this is the authors' loss (MMPT's MMContraLoss).

    Args:
        scores: float32 (texts, clips), logits.
        targets: float32 of the same shape, not negative, no row or column all 0.
    Returns:
        float32 scalar, in nats.
    """
    return (soft_cross_entropy(scores, targets) + soft_cross_entropy(scores.T, targets.T)) / 2
