"""Reads and writes the authors' checkpoint files: one table pairs their names for tensors with ours.

Every tensor of a file gets a place in the model, or an error names it.

Source: the layout fairseq's trainer writes for MMFusionSeparate, J22Melody/fairseq@a8199440.
"""

import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.catalog import ModelConfig
from models.checkpoints.folders import TEXT_WORDS, compute_digest
from models.checkpoints.loading import (
    POSE_WORDS,
    compare_shapes,
    list_shapes,
    replace_tensor_file,
    write_safetensors,
)
from models.checkpoints.pickled import StoredTensor, open_checkpoint
from models.errors import CheckpointFormatError, TensorMismatchError

# The authors' names, and ours. {layer} is a number and {rest} is the end of the name; both are equal on either side.
_NAMES = (
    ("mmmodel.video_encoder.videomlp.{rest}", "pose_tower.mlp.{rest}"),
    ("mmmodel.video_encoder.videoconv.conv1d_{layer}.{rest}", "pose_tower.convolution.layers.{layer}.{rest}"),
    ("mmmodel.video_encoder.bert.{rest}", "pose_tower.bert.{rest}"),
    ("mmmodel.text_encoder.{rest}", "text_tower.bert.{rest}"),
    ("mmmodel.video_projection.linear.weight", "pose_projection.weight"),
    ("mmmodel.text_projection.linear.weight", "text_projection.weight"),
)
_FIELDS = {"layer": r"(?P<layer>\d+)", "rest": "(?P<rest>.+)"}


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(".", r"\.").format(**_FIELDS))


_TO_OURS = tuple((_compile(theirs), ours) for theirs, ours in _NAMES)
_TO_THEIRS = tuple((_compile(ours), theirs) for theirs, ours in _NAMES)
# By our names. The authors' files hold these tensors, but no tower uses them; older transformers wrote position_ids.
_UNUSED = re.compile(r"(pose|text)_tower\.bert\.(pooler\.dense\.(weight|bias)|embeddings\.position_ids)")
# Rows of BERT's [CLS] and [SEP] in the word list of bert-base-cased and bert-base-uncased alike.
BERT_CLS_ID, BERT_SEP_ID = 101, 102


def rename_to_ours(name: str) -> str | None:
    """Turn the authors' name of a tensor into ours; None if their model has no such tensor."""
    return _rename(name, _TO_OURS)


def rename_to_theirs(name: str) -> str | None:
    """Turn our name of a tensor into the authors'; None if their model has no such tensor."""
    return _rename(name, _TO_THEIRS)


def _rename(name: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    for pattern, target in rules:
        if match := pattern.fullmatch(name):
            return target.format(**match.groupdict())
    return None


def read_checkpoint(path: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Read the authors' `.pt` as this project's tensors, float32.

    Args:
        path: pickled dict whose "model" holds `mmmodel.…` tensors, float32 or float16. Nothing in it is executed.
        config: the model that the tensors must fit. Its pose tower keeps the two rows of the word list that it uses.
    Returns:
        The tensors by our names.
    Raises:
        CheckpointFormatError: the file cannot be read, or holds no "model".
        TensorMismatchError: a tensor is missing, unexpected, or of another shape or type; all are named.
    """
    with open_checkpoint(path) as (content, archive):
        stored = content.get("model") if isinstance(content, Mapping) else None
        if not isinstance(stored, Mapping):
            raise CheckpointFormatError(f"{path} has no 'model'; the authors' checkpoints keep their tensors there")
        named, problems = _name_tensors(stored)
        expected = list_shapes(config, vocab_size=_count_rows(named, TEXT_WORDS))
        problems += _compare(named, expected)
        if problems:
            raise TensorMismatchError(str(path), problems)
        tensors = {name: _load(named[name], archive) for name in expected}
    tensors[POSE_WORDS] = tensors[POSE_WORDS][[BERT_CLS_ID, BERT_SEP_ID]].clone()
    return tensors


def _name_tensors(stored: Mapping[object, object]) -> tuple[dict[str, StoredTensor], list[str]]:
    """Name the tensors of a file as we do; returns them, and what is wrong with the others."""
    named: dict[str, StoredTensor] = {}
    problems = []
    for name, tensor in stored.items():
        if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
            problems.append(f"{name} is no tensor")
            continue
        ours = rename_to_ours(name)
        if ours is None:
            problems.append(f"{name} is unexpected")
        elif _UNUSED.fullmatch(ours):
            continue
        elif not tensor.dtype.is_floating_point:
            problems.append(f"{name} is {tensor.dtype}, not a floating-point tensor")
        else:
            named[ours] = tensor
    return named, problems


def _count_rows(named: Mapping[str, StoredTensor], name: str) -> int | None:
    tensor = named.get(name)
    return tensor.shape[0] if tensor is not None and len(tensor.shape) == 2 else None


def _compare(named: Mapping[str, StoredTensor], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """List what is wrong with tensors by our names. The pose tower's word list is still whole here."""
    shapes = {name: tensor.shape for name, tensor in named.items()}
    words, width = shapes.pop(POSE_WORDS, None), expected[POSE_WORDS][1]
    problems = compare_shapes(shapes, {name: shape for name, shape in expected.items() if name != POSE_WORDS})
    if words is None:
        problems.append(f"{POSE_WORDS} is missing")
    elif len(words) != 2 or words[0] <= BERT_SEP_ID or words[1] != width:
        problems.append(f"{POSE_WORDS} is {words}, not (more than {BERT_SEP_ID}, {width})")
    return problems


def _load(stored: StoredTensor, archive: zipfile.ZipFile) -> Tensor:
    return stored.load(archive).to(torch.float32)


def convert(checkpoint: Path, target: Path, config: ModelConfig) -> str:
    """Write the authors' checkpoint as a safetensors file, whole or not at all.

    Returns:
        The checkpoint's SHA-256, hex; the file records it.
    Raises:
        CheckpointError: as read_checkpoint; also when a tensor holds NaN or infinity.
        OSError: the file cannot be written.
    """
    digest = compute_digest(checkpoint)
    tensors = read_checkpoint(checkpoint, config)
    broken = [f"{name} holds NaN or infinity" for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise TensorMismatchError(str(checkpoint), broken)
    write_safetensors(target, tensors, {"digest": digest, "source": checkpoint.name})
    return digest


def write_checkpoint(target: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a model's tensors as the authors' `.pt`, whole or not at all.

    Their code also loads tensors that ours does not use. They are zeros in the file: BERT's poolers, and the pose
    tower's words other than [CLS] and [SEP].

    Args:
        target: the `.pt` file.
        tensors: by our names; shapes as list_shapes gives them.
    Raises:
        TensorMismatchError: the authors' model has no place for a tensor; all such tensors are named.
        OSError: the file cannot be written, or the disk is full.
    """
    renamed: OrderedDict[str, Tensor] = OrderedDict()
    problems = []
    for name, tensor in _fill_unused(tensors).items():
        if (theirs := rename_to_theirs(name)) is None:
            problems.append(f"{name} has no place in the authors' model")
        else:
            renamed[theirs] = tensor
    if problems:
        raise TensorMismatchError(str(target), problems)
    with replace_tensor_file(target) as part:
        torch.save(_lay_out(renamed), part)


def _fill_unused(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    special = tensors[POSE_WORDS]
    words = special.new_zeros(max(len(tensors[TEXT_WORDS]), BERT_SEP_ID + 1), special.shape[1])
    words[[BERT_CLS_ID, BERT_SEP_ID]] = special
    filled = {**tensors, POSE_WORDS: words}
    for bert in ("pose_tower.bert", "text_tower.bert"):
        positions, width = tensors[f"{bert}.embeddings.position_embeddings.weight"].shape
        filled[f"{bert}.embeddings.position_ids"] = torch.arange(positions).unsqueeze(0)
        filled[f"{bert}.pooler.dense.weight"] = torch.zeros(width, width)
        filled[f"{bert}.pooler.dense.bias"] = torch.zeros(width)
    return filled


def _lay_out(tensors: OrderedDict[str, Tensor]) -> dict[str, Any]:
    # The keys of a released file, without its pickled classes, so that it can be loaded without fairseq.
    return {
        "args": None,
        "cfg": {"model": {"arch": "mmarch", "_name": "mmarch"}, "common": {"fp16": False}},
        "model": tensors,
        "criterion": None,
        "optimizer_history": [
            {
                "criterion_name": "MMCriterion",
                "optimizer_name": "FairseqAdam",
                "lr_scheduler_state": {"best": None},
                "num_updates": 0,
            }
        ],
        "task_state": {},
        "extra_state": {"metrics": OrderedDict(), "previous_training_time": 0.0, "train_iterator": {"epoch": 1}},
        "last_optimizer_state": {},
    }
