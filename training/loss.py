"""The contrastive loss: every clip of a batch is compared with every text, in both directions."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def compute_info_nce(
    scores: Tensor, targets: Tensor | None = None, *, reduction: Literal["sum", "mean"] = "mean"
) -> Tensor:
    """Compute the cross entropy of the softmax over clips and of the softmax over texts.

    Args:
        scores: float32 (texts, clips), logits.
        targets: float32 (texts, clips), not negative, with no row or column of zeros only; None: each text is true
            of its own clip only.
        reduction: of the two directions; the authors take the sum.
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
    return both if reduction == "sum" else both / 2
