"""Adam, and the learning rate of each step."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from training.sections.run import Optimizer


def build_optimizer(parameters: Iterable[nn.Parameter], settings: Optimizer) -> torch.optim.AdamW:
    """Build Adam for the parameters that learn. Only matrices decay: a small bias, norm or scale has no advantage."""
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in learning if parameter.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [parameter for parameter in learning if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon, fused=True)


def compute_learning_rate(step: int, steps: int, *, settings: Optimizer) -> float:
    """Compute the learning rate of a step.

    Args:
        step: from 0.
        steps: of the run, or of its stage.
        settings: the schedule.
    Source: fairseq's polynomial_decay, whose first step under warm-up has the rate 0. The cosine rises from the first
        step on and falls over the whole run.
    """
    largest = settings.learning_rate
    if settings.schedule == "cosine":
        rise = min(1.0, (step + 1) / max(settings.warmup, 1))
        return largest * rise * (1 + math.cos(math.pi * step / steps)) / 2
    if step < settings.warmup:
        return largest * step / settings.warmup
    if settings.schedule == "constant":
        return largest
    end = settings.decay_steps or steps
    left = max(1 - (step - settings.warmup) / max(end - settings.warmup, 1), 0.0)
    return float(largest * left**settings.power)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
