"""From a run's file to what the loop needs: a model to start from, batches, a tokenizer to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from tokenizers import Tokenizer

from models.architecture import SignClip
from models.checkpoints.folders import TOKENIZER
from training.clips.batches import ClipBatches, ClipData
from training.experiment import Experiment, ExperimentError
from training.fingerspelling.batches import HandBatches, geometry_moments
from training.fingerspelling.lexicon import Clip, read_lexicon
from training.fingerspelling.prompts import (
    CLS,
    SEP,
    build_tokenizer,
    save_tokenizer,
)
from training.initialization import build_model, find_tokenizer
from training.loop import Sources
from training.runs.model_folder import copy_tokenizer

_PATIENCE = InitProcessGroupKwargs(timeout=timedelta(hours=24))
"""The other processes wait while the first one parses the data, which takes hours the first time."""


@dataclass(frozen=True)
class Prepared:
    """All that a run needs before its first step.

    Attributes:
        put_tokenizer: writes the tokenizer into a model's folder.
        left_out: by part, training or validation: why clips are left out, by id.
    """

    model: SignClip
    sources: Sources
    put_tokenizer: Callable[[Path], None]
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def open_accelerator(run: Experiment, *, cpu: bool = False) -> Accelerator:
    """Find the device, the number format and the other processes.

    Args:
        cpu: leave a GPU alone.
    Raises:
        ExperimentError: this machine does not have the format, or the batch cannot be shared out.
    """
    # Accelerate keeps one number format for a whole process; runs one after another may differ in it.
    AcceleratorState._reset_state()
    try:
        accelerator = Accelerator(cpu=cpu, mixed_precision=run.precision, kwargs_handlers=[_PATIENCE])
    except ValueError as error:
        raise ExperimentError(f"precision {run.precision}: {error}") from error
    if run.precision == "fp16" and accelerator.device.type == "cpu":
        raise ExperimentError("precision fp16 needs a GPU; bf16 and no also run on the CPU")
    if run.batch.size % accelerator.num_processes:
        raise ExperimentError(f"batch.size {run.batch.size} is no multiple of {accelerator.num_processes} processes")
    return accelerator


def prepare(run: Experiment, accelerator: Accelerator) -> Prepared:
    """Read a run's data and build the model that it starts from.

    Raises:
        ExperimentError: see training.initialization.
        CorpusError: the data cannot be read.
        ModelsError: neither the tokenizer nor the model to start from.
    """
    if isinstance(run.data, ClipData):
        # One process first: it fills the feature cache and fetches what is missing; the others find it there.
        with accelerator.main_process_first():
            return _prepare_clips(run, run.data, accelerator)
    clips = read_lexicon()
    return prepare_letters(run, clips, build_tokenizer(clips), accelerator)


def _prepare_clips(run: Experiment, data: ClipData, accelerator: Accelerator) -> Prepared:
    tokenizer, folder = find_tokenizer(run)
    model = build_model(run, vocab_size=tokenizer.vocab_size, cls_id=tokenizer.cls_id, sep_id=tokenizer.sep_id)
    open_part = partial(ClipBatches, data, model.config, tokenizer, seed=run.seed, batch_size=run.batch.size)
    try:
        training = open_part(process_index=accelerator.process_index, process_count=accelerator.num_processes)
        validation = open_part(validation=True) if data.validation else None
    except ValueError as error:
        raise ExperimentError(f"{run.name}: {error}") from error
    left_out = {"training": training.skipped, "validation": {} if validation is None else validation.skipped}
    return Prepared(model, Sources(training, validation, data.workers), partial(copy_tokenizer, folder), left_out)


def prepare_letters(run: Experiment, clips: Sequence[Clip], tokenizer: Tokenizer, accelerator: Accelerator) -> Prepared:
    """Prepare a run of kind hands on clips of the lexicon.

    Args:
        clips: what to learn.
        tokenizer: of build_tokenizer.
    Raises:
        ExperimentError: see training.initialization; or the model reads no hand geometry.
    """
    cls_id, sep_id = tokenizer.token_to_id(CLS), tokenizer.token_to_id(SEP)
    model = build_model(run, vocab_size=tokenizer.get_vocab_size(), cls_id=cls_id, sep_id=sep_id)
    batches = HandBatches(
        run,
        clips,
        tokenizer,
        moments=geometry_moments(model),
        process_index=accelerator.process_index,
        process_count=accelerator.num_processes,
    )
    return Prepared(model, Sources(batches), lambda folder: save_tokenizer(tokenizer, folder / TOKENIZER))
