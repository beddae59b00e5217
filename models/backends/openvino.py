"""The forward pass in OpenVINO: on x86-64 CPUs two to three times as fast as torch in float32, at the same numbers.

A tower is converted once and kept beside the weights; after that neither torch nor transformers is loaded to serve it.
"""

import fcntl
import hashlib
import importlib
import logging
import shutil
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from models.backends import Array
from models.catalog import ModelConfig
from models.weights import recorded_digest

log = logging.getLogger(__name__)
TOWERS = ("text", "pose")
# Raised whenever the same weights would give another graph; older files are converted anew.
GRAPH_VERSION = 1
_PRECISION = {"float32": "f32", "bfloat16": "bf16"}


def import_openvino() -> ModuleType:
    """Import OpenVINO with its telemetry package out of reach: it reports imports and conversions otherwise."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    module: ModuleType = importlib.import_module("openvino")
    return module


def graph_folder(path: Path, config: ModelConfig) -> Path:
    """Where a model's converted towers are kept, by checkpoint and configuration."""
    facts = f"{GRAPH_VERSION} {recorded_digest(path)} {config.moving_parts()}"
    return path.parent / "openvino" / f"{config.name}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"


def is_converted(path: Path, config: ModelConfig) -> bool:
    return all((graph_folder(path, config) / f"{tower}.xml").is_file() for tower in TOWERS)


class OpenVinoBackend:
    """Both towers compiled for the CPU.

    Args:
        path: the model's safetensors file.
        threads: cores one forward pass may use; None: all the process may.
    """

    device = "cpu"

    def __init__(self, path: Path, config: ModelConfig, *, dtype: str, threads: int | None = None) -> None:
        self.dtype = dtype
        openvino = import_openvino()
        core = openvino.Core()
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _PRECISION[dtype], "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        graphs = _load_graphs(core, path, config)
        # Side by side: each takes half a second of one core.
        with ThreadPoolExecutor(len(graphs), thread_name_prefix="compile") as pool:
            compiled = pool.map(lambda graph: core.compile_model(graph, "CPU", options), graphs.values())
            self._requests = {
                tower: model.create_infer_request() for tower, model in zip(graphs, compiled, strict=True)
            }

    def encode_text(self, input_ids: Array, attention_mask: Array) -> npt.NDArray[np.float32]:
        return self._infer("text", input_ids, attention_mask)

    def encode_pose(self, pose_features: Array, frame_mask: Array) -> npt.NDArray[np.float32]:
        return self._infer("pose", pose_features, frame_mask)

    def _infer(self, tower: str, items: Array, mask: Array) -> npt.NDArray[np.float32]:
        # share_inputs: the padded batch is ours until the call returns, so OpenVINO need not copy it.
        outputs = self._requests[tower].infer({0: items, 1: mask}, share_inputs=True)
        vectors: npt.NDArray[np.float32] = np.array(outputs[0], dtype=np.float32)
        return vectors


def _load_graphs(core: Any, path: Path, config: ModelConfig) -> dict[str, Any]:
    folder = graph_folder(path, config)
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
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_converted(path, config):
            return
        log.info("converting a model for OpenVINO", extra={"model": config.name})
        openvino = import_openvino()
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
        try:
            for tower, graph in convert_towers(path, config).items():
                openvino.save_model(graph, part / f"{tower}.xml", compress_to_fp16=False)
            part.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
            _drop_outdated(folder, config)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _drop_outdated(folder: Path, config: ModelConfig) -> None:
    """Remove what was converted from an earlier checkpoint of this model: each copy is as large as the weights."""
    for other in folder.parent.glob(f"{config.name}-????????????"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def convert_towers(path: Path, config: ModelConfig) -> dict[str, Any]:
    """Trace both towers of a model into OpenVINO graphs that take any batch and length."""
    openvino = import_openvino()
    import torch

    from models.checkpoint import load_model

    module = load_model(path, config)

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
