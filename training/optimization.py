"""Adam and the course of its learning rate."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from training.experiment import Optimizer


def build_optimizer(parameters: Iterable[nn.Parameter], settings: Optimizer) -> torch.optim.AdamW:
    """Make Adam for what learns; only matrices decay, for biases, norms and scales gain nothing from being small."""
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in learning if parameter.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [parameter for parameter in learning if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon, fused=True)


def learning_rate(step: int, steps: int, settings: Optimizer) -> float:
    """Give the learning rate of a step.

    Args:
        step: from 0.
        steps: of the run.
    Source: fairseq's polynomial_decay, whose first update under warm-up has the rate 0; the cosine rises from the
        first step on and falls over the whole run.
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
    left = 1 - (step - settings.warmup) / max(end - settings.warmup, 1)
    return largest * max(left, 0.0) ** settings.power


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
