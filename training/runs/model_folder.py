"""A trained model as the service reads it: config.yaml, model.safetensors, tokenizer/."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml
from torch import Tensor

from models.architecture import SignClip
from models.catalog import ModelConfig
from models.checkpoints.folders import CONVERTED, TOKENIZER, TOKENIZER_FILES
from models.checkpoints.loading import write_safetensors
from processes.files import replace_file, write_file

CONFIG = "config.yaml"
_NOT_HANDED_ON = {"name", "aliases", "weights", "download"}
"""Of the model it was made from; a folder's model goes by the folder's name and has its own weights."""


def write_weights(folder: Path, model: SignClip, *, experiment: str) -> None:
    """Write a model's tensors, whole or not at all."""
    tensors: dict[str, Tensor] = {
        name: tensor.detach().to("cpu").contiguous() for name, tensor in model.state_dict().items()
    }
    write_safetensors(folder / CONVERTED, tensors, {"source": experiment})


def write_config(folder: Path, config: ModelConfig) -> None:
    """Write a model's configuration in full, so that later defaults do not change it."""
    fields = config.model_dump(mode="json", exclude=_NOT_HANDED_ON)
    write_file(folder / CONFIG, yaml.safe_dump(fields, sort_keys=False, allow_unicode=True))


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Put a tokenizer's files into a model's folder."""
    target = folder / TOKENIZER
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            with replace_file(target / name) as part:
                shutil.copyfile(source / name, part)


def record_sizes(config_path: Path, *, logit_scale: float, vocab_size: int) -> None:
    """Set what only training knows in a model's YAML, and leave the rest, comments too, as it is."""
    text = config_path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^logit_scale: .*$", f"logit_scale: {logit_scale}", text)
    text = re.sub(r"vocab_size: \d+", f"vocab_size: {vocab_size}", text)
    write_file(config_path, text)
