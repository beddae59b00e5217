"""The training loop: steps, validation, the best weights, and a state to resume from.

A step's batch, dropout and learning rate follow from the run and the step's number alone, so a run that goes on from a
saved state computes what it would have computed uninterrupted: to the bit on one CPU process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accelerate import Accelerator
from torch import Tensor

from models.architecture import SignClip
from training.batches import BatchSource, ValidationBatches
from training.experiment import Experiment
from training.learning import Learner
from training.runs.files import RunFiles
from training.runs.state import Progress
from training.validation import open_loader, validate

LEAST_STEPS = 100
"""Between states of a run that does not validate, whose epochs may be a few steps long."""
Report = Callable[[int, Tensor], None]
"""Called after every step with its number, from 0, and its loss, a scalar on the device."""


@dataclass(frozen=True)
class Sources:
    """Where batches come from.

    Attributes:
        training: this process's rows.
        validation: the whole of it in every process, or None.
        workers: processes that make batches ahead; 0: they are made between steps.
    """

    training: BatchSource
    validation: ValidationBatches | None = None
    workers: int = 0


def train(
    run: Experiment,
    model: SignClip,
    sources: Sources,
    accelerator: Accelerator,
    *,
    files: RunFiles | None = None,
    report: Report | None = None,
) -> SignClip:
    """Train a model from the weights it has; the same run gives the same weights on one machine.

    Args:
        run: the recipe.
        model: of training.initialization, trained in place.
        sources: batches.
        accelerator: device, number format and processes.
        files: where logs, state and the model go, and where an interrupted run is found; None: nowhere.
        report: called after every step.
    Returns:
        the model after the last step, on the CPU, in evaluation mode, its configuration final.
    Raises:
        ExperimentError: the files hold another run.
    """
    steps = run.total_steps(sources.training.steps_per_epoch)
    learner = Learner(run, model, accelerator, steps=steps)
    progress = Progress() if files is None else files.begin(learner)
    remaining = range(progress.step, steps)
    loader = open_loader(sources.training, remaining, workers=sources.workers, device=accelerator.device)
    every = run.validation.every or sources.training.steps_per_epoch
    for step, batch in zip(remaining, loader, strict=True):
        loss = learner.learn(step, batch, sources.training.targets)
        progress.step = step + 1
        if files is not None:
            files.note_step(progress, learner, loss)
        if report is not None:
            report(step, loss)
        last = progress.step == steps
        validated = sources.validation is not None and (last or progress.step % every == 0)
        if validated and sources.validation is not None:
            figures = validate(learner, sources.validation, workers=sources.workers)
            if files is not None and figures is not None:
                files.note_validation(progress, learner, figures)
        if files is not None:
            often = run.save_every or (every if sources.validation is not None else max(every, LEAST_STEPS))
            if last or progress.step % often == 0:
                files.save(progress, learner)
    if files is not None:
        files.end(progress, learner)
    return learner.trained_model()
