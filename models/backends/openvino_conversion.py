"""Converts towers into OpenVINO graphs that suit the CPU's kernels, and keeps them beside the weights."""

import hashlib
import importlib
import logging
import math
import shutil
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from models.catalog import ModelConfig
from models.checkpoints.folders import read_digest
from processes.files import hold_lock, replace_folder

log = logging.getLogger(__name__)
TOWERS = ("text", "pose")
# To be raised whenever the same weights would give another graph; graphs of older versions are converted again.
GRAPH_VERSION = 2


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry package, which would report imports and conversions."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    module: ModuleType = importlib.import_module("openvino")
    return module


def locate_graphs(path: Path, config: ModelConfig) -> Path:
    """Return the folder of a model's converted towers; each checkpoint and configuration has its own.

    Raises:
        CheckpointFormatError: `path` is no safetensors file.
    """
    facts = f"{GRAPH_VERSION} {read_digest(path)} {config.vector_fields}"
    return path.parent / "openvino" / f"{config.name}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"


def is_converted(path: Path, config: ModelConfig) -> bool:
    """Check whether both towers of a model are converted."""
    return all((locate_graphs(path, config) / f"{tower}.xml").is_file() for tower in TOWERS)


def load_graphs(core: Any, path: Path, config: ModelConfig) -> dict[str, Any]:
    """Read both towers of a model. If they are missing or damaged, convert them first.

    Args:
        core: openvino.Core.
        path: safetensors file of the model.
        config: of the model.
    Returns:
        An openvino.Model for "text" and for "pose".
    Raises:
        CheckpointError: the file does not fit the model.
    """
    folder = locate_graphs(path, config)
    if is_converted(path, config):
        try:
            return _read_graphs(core, folder)
        except RuntimeError as error:
            log.warning("converted towers are damaged", extra={"model": config.name, "error": str(error)})
            shutil.rmtree(folder, ignore_errors=True)
    try:
        _convert_once(path, config, folder)
        return _read_graphs(core, folder)
    except (OSError, RuntimeError) as error:  # OpenVINO raises RuntimeError when the disk is full
        log.warning("converted towers cannot be kept", extra={"model": config.name, "error": str(error)})
        return convert_towers(path, config)


def _read_graphs(core: Any, folder: Path) -> dict[str, Any]:
    return {tower: core.read_model(folder / f"{tower}.xml") for tower in TOWERS}


def _convert_once(path: Path, config: ModelConfig, folder: Path) -> None:
    """Convert both towers into `folder`, whole or not at all, while other processes that need them wait."""
    folder.parent.mkdir(exist_ok=True)
    with hold_lock(folder.parent / ".lock"):
        if is_converted(path, config):
            return
        log.info("converting a model for OpenVINO", extra={"model": config.name})
        openvino, graphs = import_openvino(), convert_towers(path, config)
        with replace_folder(folder) as part:
            for tower, graph in graphs.items():
                openvino.save_model(graph, part / f"{tower}.xml", compress_to_fp16=False)
        _drop_outdated(folder, config)


def _drop_outdated(folder: Path, config: ModelConfig) -> None:
    """Remove the towers of earlier checkpoints of this model, because each copy is as large as the weights."""
    for other in folder.parent.glob(f"{config.name}-????????????"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _fold_attention_scale(module: Any) -> None:
    """Scale the weights of the queries instead of attention's scores; for heads of 64 numbers that is exact, by 1/8.

    Otherwise OpenVINO scales the keys after their product, by a kernel that takes half as long again.
    """
    for part in module.modules():
        if hasattr(part, "query") and hasattr(part, "scaling"):
            part.query.weight.data *= part.scaling
            part.query.bias.data *= part.scaling
            part.scaling = 1.0


def separate_gelu(graph: Any) -> None:
    """Keep OpenVINO from fusing GELU into the product before it, by a kernel that takes 1.6 times as long in float32.

    In bfloat16 one kernel for both is faster. GELU is written with a minus twice, because OpenVINO recognizes every
    other way to write it, and fuses it again.

    Args:
        graph: an openvino.Model, which is changed.
    """
    ops = import_openvino().opset13
    for node in graph.get_ops():
        if node.get_type_name() == "Gelu":
            x = node.input_value(0)
            minus_erf = ops.erf(ops.multiply(x, ops.constant(np.float32(-math.sqrt(0.5)))))
            share = ops.add(ops.multiply(minus_erf, ops.constant(np.float32(-0.5))), ops.constant(np.float32(0.5)))
            node.output(0).replace(ops.multiply(x, share).output(0))


def convert_towers(path: Path, config: ModelConfig) -> dict[str, Any]:
    """Trace both towers of a model into OpenVINO graphs that take any batch and length.

    Returns:
        An openvino.Model for "text" and for "pose".
    Raises:
        CheckpointError: the file does not fit the model.
    """
    openvino = import_openvino()
    import torch

    from models.checkpoints.loading import load_model

    module = load_model(path, config)
    _fold_attention_scale(module)

    class TextGraph(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return module.encode_text(input_ids, attention_mask)

    class PoseGraph(torch.nn.Module):
        def forward(self, pose_features: torch.Tensor, frame_mask: torch.Tensor) -> torch.Tensor:
            return module.encode_pose(pose_features, frame_mask)

    mask = torch.tensor([[True] * 7, [True] * 5 + [False] * 2])  # of two lengths, because else tracing drops the mask
    examples = {
        "text": (TextGraph(), {"input_ids": torch.ones(2, 7, dtype=torch.long), "attention_mask": mask}),
        "pose": (PoseGraph(), {"pose_features": torch.zeros(2, 7, config.feature_dim), "frame_mask": mask}),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # because tracing warns of shape checks, which hold for all shapes it sees
        return {
            tower: openvino.convert_model(graph, example_input=inputs) for tower, (graph, inputs) in examples.items()
        }
