"""Models that did not learn from some languages, kept from one measurement to the next.

The shipped model learned from every clip of the lexicon. What few examples give on new signers can only be measured on
models that did not, so each fold of the protocol is trained once and kept.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer

from models.architecture import SignClip
from models.checkpoints.loading import EXEMPLARS, write_safetensors
from models.exemplars import Exemplars
from training.errors import KeptFileError
from training.fingerspelling.crossvalidate import train_fold
from training.fingerspelling.lexicon import SPLITS, LetterClip
from training.fingerspelling.preparation import HandExperiment
from training.fingerspelling.prompts import build_tokenizer, find_special_ids
from training.initialization import build_model

_POINTS = f"{EXEMPLARS}points"


@dataclass(frozen=True)
class Fold:
    """A model that never saw some languages.

    Attributes:
        held_out: tags of these sign languages.
        model: in evaluation mode.
        tokenizer: of the model.
    """

    held_out: tuple[str, ...]
    model: SignClip
    tokenizer: Tokenizer


def iterate_folds(
    run: HandExperiment,
    clips: Sequence[LetterClip],
    *,
    folder: Path,
    partition: Sequence[Sequence[str]] = SPLITS,
    quiet: bool = False,
) -> Iterator[Fold]:
    """Read the model of each fold from a folder, or train it and keep it there.

    Args:
        run: the recipe; a model that was trained by another is trained anew.
        clips: the whole lexicon.
        folder: of the models.
        partition: the languages that each model does not learn from.
        quiet: show no progress.
    Raises:
        KeptFileError: a kept model is damaged.
        TrainingError: the recipe cannot be trained.
        OSError: the folder cannot be written to.
    """
    recipe = hashlib.sha256(json.dumps(run.describe(), sort_keys=True, default=str).encode()).hexdigest()[:12]
    for held_out in partition:
        learned = [clip for clip in clips if clip.sign not in held_out]
        tokenizer = build_tokenizer(learned)
        path = folder / f"{'-'.join(held_out)}-{recipe}.safetensors"
        if path.is_file():
            cls_id, sep_id = find_special_ids(tokenizer)
            model = build_model(run, vocab_size=tokenizer.get_vocab_size(), cls_id=cls_id, sep_id=sep_id)
            _load(path, model, embed_dim=run.model.embed_dim)
        else:
            model = train_fold(run, learned, tokenizer, bar_title=None if quiet else f"without {' '.join(held_out)}")
            write_safetensors(path, model.state_dict(), {"recipe": recipe})
        yield Fold(tuple(held_out), model.eval(), tokenizer)


def _load(path: Path, model: SignClip, *, embed_dim: int) -> None:
    try:
        tensors = load_file(path)
        if _POINTS in tensors:
            count, features = tensors[_POINTS].shape
            model.pose_tower.exemplars = Exemplars(count, features, embed_dim)
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise _make_error(path, "it has other tensors than the model") from error
    except (SafetensorError, ValueError) as error:
        raise _make_error(path, error) from error


def _make_error(path: Path, problem: object) -> KeptFileError:
    return KeptFileError(f"{path} is damaged ({problem}); remove it, and the model is trained again")
