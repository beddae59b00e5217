"""Adam, and the learning rate of each step."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import nn

from training.experiment import Experiment
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


def find_schedule_faults(run: Experiment, steps: int) -> Iterator[str]:
    """Find settings of the schedule that fit the length of a run badly: a sentence for each, for the user.

    Args:
        run: the recipe.
        steps: of the whole run.
    """
    settings, freeze_after = run.optimizer, run.freeze_after
    if freeze_after is None:
        stages = {"the run": steps}
    elif freeze_after.steps < steps:
        stages = {"the stage before freeze_after": freeze_after.steps, "that after it": steps - freeze_after.steps}
    else:
        stages = {"the run": steps}
        yield (
            f"freeze_after.steps is {freeze_after.steps}, and the run has {steps} steps, so the {freeze_after.tower} "
            "tower is never frozen; set fewer, or freeze_after=null"
        )
    for stage, length in stages.items():
        if settings.warmup >= length:
            highest = max(compute_learning_rate(step, length, settings=settings) for step in range(length))
            yield (
                f"optimizer.warmup is {settings.warmup} steps, and {stage} has {length}: the learning rate rises to "
                f"{highest:.3g} and never reaches optimizer.learning_rate, {settings.learning_rate:g}; set a shorter "
                f"warm-up, such as optimizer.warmup={length // 10}, or train longer"
            )
        if settings.schedule == "polynomial" and settings.decay_steps is not None:
            end = max(settings.decay_steps, settings.warmup + 1)
            if end < length:
                yield (
                    f"optimizer.decay_steps is {settings.decay_steps}, and {stage} has {length} steps: the learning "
                    f"rate is 0 in the last {length - end}, which change nothing; set optimizer.decay_steps=null, "
                    "which is the run's end, or train for fewer steps"
                )
