"""A trained model in the form that the service loads: config.yaml, model.safetensors and tokenizer/."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml
from torch import Tensor

from models.architecture import SignClip
from models.catalog import CONFIG, ModelConfig
from models.checkpoints.folders import CONVERTED, TOKENIZER, TOKENIZER_FILES
from models.checkpoints.loading import write_safetensors
from processes.files import replace_file, write_file

# A model in a folder has the name of the folder and its own weights, so these fields of the model that it was made from
# are left out.
_LEFT_OUT = {"name", "aliases", "weights", "download"}


def write_weights(folder: Path, model: SignClip, *, experiment: str) -> None:
    """Write a model's tensors, whole or not at all.

    Args:
        experiment: the run's name, which is recorded in the file.
    Raises:
        OSError: the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {
        name: tensor.detach().to("cpu").contiguous() for name, tensor in model.state_dict().items()
    }
    write_safetensors(folder / CONVERTED, tensors, {"source": experiment})


def write_config(folder: Path, config: ModelConfig) -> None:
    """Write a model's whole configuration, so that a later change of defaults does not change the model.

    Raises:
        OSError: the folder cannot be written.
    """
    fields = config.model_dump(mode="json", exclude=_LEFT_OUT)
    write_file(folder / CONFIG, yaml.safe_dump(fields, sort_keys=False, allow_unicode=True))


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy a tokenizer's files into a model's folder.

    Raises:
        OSError: a file cannot be read or written.
    """
    target = folder / TOKENIZER
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            with replace_file(target / name) as part:
                shutil.copyfile(source / name, part)


def record_sizes(config_path: Path, *, logit_scale: float, vocab_size: int, exemplars: int) -> None:
    """Set the fields of a model's YAML file that only training knows; the rest stays as it is, with its comments.

    Raises:
        OSError: the file cannot be read or written.
    """
    text = config_path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^logit_scale: .*$", f"logit_scale: {logit_scale}", text)
    text = re.sub(r"vocab_size: \d+", f"vocab_size: {vocab_size}", text)
    text = re.sub(r"(?m)^exemplars: .*$", f"exemplars: {exemplars}", text)
    write_file(config_path, text)
