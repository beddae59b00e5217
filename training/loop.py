"""The training loop: steps, validation, the best weights, and a state to resume from.

A step's batch, dropout and learning rate follow from the run and the step's number alone. A run that resumes from a
saved state therefore computes what it would have computed without the interruption, to the bit on one CPU process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from models.architecture import SignClip
from models.exemplars import Exemplars
from training.batches import BatchSource, ValidationBatches
from training.experiment import Experiment
from training.learning import Learner
from training.loader import open_loader
from training.runs.files import RunFiles
from training.runs.state import RunProgress
from training.validation import Validator

if TYPE_CHECKING:
    from accelerate import Accelerator

# A run without validation may have epochs of a few steps. It saves its state not more often than this, in steps.
LEAST_STEPS = 100
Report = Callable[[int, Tensor], None]
"""Called after every step with the step's number, from 0, and its loss, a scalar on the device."""


@dataclass(frozen=True)
class Sources:
    """Where batches come from.

    Attributes:
        training: this process's rows of every step.
        validation: all batches to validate on, in every process; None: the run does not validate.
        workers: processes that make batches ahead; 0: batches are made between steps.
        find_exemplars: finds the exemplars of a trained model, which is on the CPU and in evaluation mode; None: the
            model keeps those that it has.
    """

    training: BatchSource
    validation: ValidationBatches | None = None
    workers: int = 0
    find_exemplars: Callable[[SignClip], Exemplars] | None = None


@dataclass(frozen=True)
class PreparedRun:
    """All that a run needs before its first step.

    Attributes:
        model: with the weights that training starts from.
        sources: of batches.
        write_tokenizer: writes the tokenizer into a model's folder.
        data: by part ("training", "validation"), what describe_examples says of its examples, for the run's record.
        left_out: by part and by the clip's id, why clips are left out.
        warnings: of the data, for the user.
        summarize: describes the trained model in a few lines for the user; None: there is nothing to say.
    """

    model: SignClip
    sources: Sources
    write_tokenizer: Callable[[Path], None]
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    summarize: Callable[[SignClip], str] | None = None


def train(
    run: Experiment,
    model: SignClip,
    *,
    sources: Sources,
    accelerator: Accelerator,
    files: RunFiles | None = None,
    report: Report | None = None,
) -> SignClip:
    """Train a model from the weights it has. The same run gives the same weights on the same machine.

    Args:
        run: the recipe.
        model: of training.initialization; trained in place.
        sources: of batches.
        accelerator: device, number format and processes.
        files: logs, state and model of the run, from which an interrupted run resumes; None: nothing is written.
        report: called after every step.
    Returns:
        The model after the last step, on the CPU, in evaluation mode, with its final configuration.
    Raises:
        StateError, DivergedError: the run's folder holds another state; the model gives no numbers any more.
        CorpusError, OSError: a file cannot be read or written, or a process that makes batches died.
    """
    steps = run.count_steps(sources.training.steps_per_epoch)
    learner = Learner(run, model, accelerator=accelerator, steps=steps)
    progress = RunProgress() if files is None else files.resume(learner)
    remaining = range(progress.step, steps)
    loader = open_loader(sources.training, remaining, workers=sources.workers, device=accelerator.device)
    validate_every = run.validation.every or sources.training.steps_per_epoch
    save_every = _find_save_interval(run, sources, validate_every)
    validator = _open_validator(learner, sources)
    for step, batch in zip(remaining, loader, strict=True):
        loss = learner.learn(step, batch, make_targets=sources.training.make_targets)
        progress.step = step + 1
        if files is not None:
            files.log_step(progress, learner, loss=loss)
        if report is not None:
            report(step, loss)
        is_last = progress.step == steps
        if validator is not None and (is_last or progress.step % validate_every == 0):
            metrics = validator.validate()
            if files is not None and metrics is not None:
                files.log_validation(progress, learner, metrics=metrics)
        if files is not None and (is_last or progress.step % save_every == 0):
            files.save(progress, learner)
    learner.add_exemplars(sources.find_exemplars)
    if files is not None:
        files.finish(progress, learner)
    return learner.finish()


def _open_validator(learner: Learner, sources: Sources) -> Validator | None:
    if sources.validation is None:
        return None
    return Validator(learner, sources.validation, workers=sources.workers)


def _find_save_interval(run: Experiment, sources: Sources, validate_every: int) -> int:
    # Steps between states to resume from.
    if run.save_every is not None:
        return run.save_every
    return max(validate_every, LEAST_STEPS) if sources.validation is None else validate_every
