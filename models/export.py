"""Write a model as the authors' code loads it: `python -m models.export FOLDER OUT.pt`.

FOLDER is a model's, as training writes it, or a name in the catalog. OUT.pt has the layout of the released
checkpoints: `mmmodel.…` tensors under "model", beside the keys that fairseq's trainer writes.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.catalog import ModelConfig
from models.checkpoints.folders import TEXT_WORDS
from models.checkpoints.loading import (
    BERT_CLS_ID,
    BERT_SEP_ID,
    POSE_WORDS,
    load_model,
)
from models.errors import ModelsError
from models.registry import ensure_converted, find_model

# A pattern of our names, and the authors'; models.checkpoints.authors reads them back by the same pairs.
_RULES = tuple(
    (re.compile(f"^{ours}$"), f"mmmodel.{theirs}")
    for ours, theirs in (
        (r"pose_tower\.mlp\.(.+)", r"video_encoder.videomlp.\1"),
        (r"pose_tower\.convolution\.layers\.(\d+)\.(.+)", r"video_encoder.videoconv.conv1d_\1.\2"),
        (r"pose_tower\.bert\.(.+)", r"video_encoder.bert.\1"),
        (r"text_tower\.bert\.(.+)", r"text_encoder.\1"),
        (r"pose_projection\.weight", r"video_projection.linear.weight"),
        (r"text_projection\.weight", r"text_projection.linear.weight"),
    )
)
_BERTS = ("mmmodel.video_encoder.bert", "mmmodel.text_encoder")


class ExportError(ModelsError):
    """A model computes something that the authors' code cannot."""

    code = "export_impossible"


def export(config: ModelConfig, weights: Path, target: Path) -> None:
    """Write the authors' file.

    Their code keeps what ours dropped as unused, so it is filled in: the pose tower's word list with zeros but for
    [CLS] and [SEP], and BERT's poolers with zeros. A logit scale has no place in it: their dot products lack that
    factor, and rank alike.

    Args:
        config: of the model.
        weights: its safetensors file.
        target: the file to write.
    Raises:
        ExportError: it reads hand geometry, or normalizes vectors without projecting them.
        CheckpointError: the weights do not fit the configuration.
    """
    if config.pose_frontend != "mlp":
        raise ExportError(f"model {config.name!r} reads {config.pose_frontend}, which the authors' code does not have")
    if config.projection == "l2":
        raise ExportError(f"model {config.name!r} normalizes its vectors, which the authors' code does when projecting")
    load_model(weights, config)  # strictly: nothing else tells a file of another model
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(_as_checkpoint(_renamed(load_file(weights))), target)


def _renamed(tensors: dict[str, Tensor]) -> OrderedDict[str, Tensor]:
    rows = max(len(tensors[TEXT_WORDS]), BERT_SEP_ID + 1)
    special = tensors[POSE_WORDS]
    words = special.new_zeros(rows, special.shape[1])
    words[[BERT_CLS_ID, BERT_SEP_ID]] = special
    renamed: OrderedDict[str, Tensor] = OrderedDict()
    for name, tensor in {**tensors, POSE_WORDS: words}.items():
        theirs = next(pattern.sub(target, name) for pattern, target in _RULES if pattern.match(name))
        renamed[theirs] = tensor
    for bert in _BERTS:
        positions, width = renamed[f"{bert}.embeddings.position_embeddings.weight"].shape
        renamed[f"{bert}.embeddings.position_ids"] = torch.arange(positions).unsqueeze(0)
        renamed[f"{bert}.pooler.dense.weight"] = torch.zeros(width, width)
        renamed[f"{bert}.pooler.dense.bias"] = torch.zeros(width)
    return renamed


def _as_checkpoint(tensors: OrderedDict[str, Tensor]) -> dict[str, Any]:
    # The keys of a released file, without its pickled classes: nothing that loads this needs fairseq.
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Export from the command line; the exit status: 0 done, 1 refused, 2 usage error."""
    parser = argparse.ArgumentParser(
        prog="python -m models.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="FOLDER", help="a model's folder with config.yaml, or a name in the catalog")
    parser.add_argument("target", metavar="OUT.pt", type=Path)
    options = parser.parse_args(arguments)
    try:
        config, weights = find_model(options.model)
        export(config, ensure_converted(config, weights), options.target)
    except (ModelsError, OSError, RuntimeError) as error:  # torch's own of a folder that is none
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.target} ({options.target.stat().st_size / 1e6:,.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
