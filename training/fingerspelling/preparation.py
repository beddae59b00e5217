"""From a run's file to what the training loop needs, for data of kind hands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from models.architecture import SignClip
from models.checkpoints.folders import TOKENIZER
from models.exemplars import Exemplars
from training.batches import ProcessShare
from training.errors import ExperimentError
from training.experiment import Experiment
from training.fingerspelling.batches import HandBatches
from training.fingerspelling.dictionary import format_dictionary, score_dictionary
from training.fingerspelling.exemplars import find_exemplars
from training.fingerspelling.lexicon import LetterClip
from training.fingerspelling.prompts import find_special_ids, save_tokenizer
from training.initialization import build_model
from training.loop import PreparedRun, Sources
from training.sections.hands import HandData

if TYPE_CHECKING:
    from accelerate import Accelerator


class HandExperiment(Experiment):
    """A run on fingerspelled letters; another kind of data is refused."""

    data: HandData


def prepare_letters(
    run: Experiment, data: HandData, *, clips: Sequence[LetterClip], tokenizer: Tokenizer, accelerator: Accelerator
) -> PreparedRun:
    """Prepare a run on some clips of the lexicon.

    Args:
        run: the recipe.
        data: its section of data.
        clips: to learn from.
        tokenizer: of build_tokenizer.
        accelerator: device, number format and processes.
    Raises:
        InitializationError: the weights to start from are missing or do not fit.
        ExperimentError: the model reads no hand geometry, or has no place for the votes of exemplars.
        DataError: there are more processes than pairs.
        PoseError, OSError: a clip's file cannot be read.
    """
    cls_id, sep_id = find_special_ids(tokenizer)
    model = build_model(run, vocab_size=tokenizer.get_vocab_size(), cls_id=cls_id, sep_id=sep_id)
    batches = HandBatches(
        run,
        data,
        clips=clips,
        tokenizer=tokenizer,
        sampled_frames=count_sampled_frames(model),
        share=ProcessShare(accelerator.process_index, accelerator.num_processes),
    )

    if data.exemplars.share and run.model.projection != "l2":
        raise ExperimentError(
            f"data.exemplars.share is {data.exemplars.share:g}, and exemplars vote for unit vectors that no layer "
            f"projects, but model.projection is {run.model.projection}: use l2, or data.exemplars.share=0"
        )

    def write_tokenizer(folder: Path) -> None:
        save_tokenizer(tokenizer, folder / TOKENIZER)

    def find(trained: SignClip) -> Exemplars:
        return find_exemplars(trained, tokenizer, clips, settings=data.exemplars)

    def summarize(trained: SignClip) -> str:
        return format_dictionary(score_dictionary(trained, tokenizer, clips))

    sources = Sources(batches, find_exemplars=find if data.exemplars.share else None)
    return PreparedRun(model, sources, write_tokenizer, summarize=summarize)


def count_sampled_frames(model: SignClip) -> int:
    """Return how many sampled frames of each clip a model reads.

    Raises:
        ExperimentError: the model reads no hand geometry.
    """
    if model.pose_tower.geometry is None:
        raise ExperimentError(
            f"model {model.config.name!r} reads no hand geometry, which data of kind hands consist of: "
            "use model.pose_frontend=hand_geometry or other data"
        )
    return model.pose_tower.geometry.steps
