"""Towers as OpenVINO graphs: traced from the module once, kept beside the weights, laid out for the CPU's kernels."""

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
# Raised whenever the same weights would give another graph; older files are converted anew.
GRAPH_VERSION = 2


def import_openvino() -> ModuleType:
    """Import OpenVINO with its telemetry package out of reach: it reports imports and conversions otherwise."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    module: ModuleType = importlib.import_module("openvino")
    return module


def locate_graphs(path: Path, config: ModelConfig) -> Path:
    """Where a model's converted towers are kept, by checkpoint and configuration."""
    facts = f"{GRAPH_VERSION} {read_digest(path)} {config.vector_fields}"
    return path.parent / "openvino" / f"{config.name}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"


def is_converted(path: Path, config: ModelConfig) -> bool:
    return all((locate_graphs(path, config) / f"{tower}.xml").is_file() for tower in TOWERS)


def load_graphs(core: Any, path: Path, config: ModelConfig) -> dict[str, Any]:
    """Both towers, read from beside the weights; converted first where they are not there or damaged."""
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
    except (OSError, RuntimeError) as error:  # OpenVINO's own, where the disk is full
        log.warning("converted towers cannot be kept", extra={"model": config.name, "error": str(error)})
        return convert_towers(path, config)


def _read_graphs(core: Any, folder: Path) -> dict[str, Any]:
    return {tower: core.read_model(folder / f"{tower}.xml") for tower in TOWERS}


def _convert_once(path: Path, config: ModelConfig, folder: Path) -> None:
    """Convert both towers into `folder`, all or nothing, while other processes that want them wait."""
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
    """Remove what was converted from an earlier checkpoint of this model: each copy is as large as the weights."""
    for other in folder.parent.glob(f"{config.name}-????????????"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _fold_attention_scale(module: Any) -> None:
    """Scale attention's scores in the weights that make the queries: 1/8 there for heads of 64 numbers, which is exact.

    OpenVINO would scale the keys as they leave their product, by a kernel that takes half as long again.
    """
    for part in module.modules():
        if hasattr(part, "query") and hasattr(part, "scaling"):
            part.query.weight.data *= part.scaling
            part.query.bias.data *= part.scaling
            part.scaling = 1.0


def separate_gelu(graph: Any) -> None:
    """Keep GELU out of the product before it: OpenVINO runs the two as one by a kernel that takes 1.6 times as long.

    So it is in float32; in bfloat16, one kernel for both is faster.

    Written with a minus twice, since OpenVINO recognizes every other way to write GELU and fuses it again.
    """
    ops = import_openvino().opset13
    for node in graph.get_ops():
        if node.get_type_name() == "Gelu":
            x = node.input_value(0)
            minus_erf = ops.erf(ops.multiply(x, ops.constant(np.float32(-math.sqrt(0.5)))))
            share = ops.add(ops.multiply(minus_erf, ops.constant(np.float32(-0.5))), ops.constant(np.float32(0.5)))
            node.output(0).replace(ops.multiply(x, share).output(0))


def convert_towers(path: Path, config: ModelConfig) -> dict[str, Any]:
    """Trace both towers of a model into OpenVINO graphs that take any batch and length."""
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

    mask = torch.tensor([[True] * 7, [True] * 5 + [False] * 2])  # unequal lengths, or tracing drops the mask
    examples = {
        "text": (TextGraph(), {"input_ids": torch.ones(2, 7, dtype=torch.long), "attention_mask": mask}),
        "pose": (PoseGraph(), {"pose_features": torch.zeros(2, 7, config.feature_dim), "frame_mask": mask}),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of our shape checks, which hold for every shape it is given
        return {
            tower: openvino.convert_model(graph, example_input=inputs) for tower, (graph, inputs) in examples.items()
        }
