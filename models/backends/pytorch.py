"""The forward pass in PyTorch: the reference on every device."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.backends import Array
from models.catalog import ModelConfig
from models.checkpoints.loading import load_model

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class TorchBackend:
    """A SignClip module on a CPU or a CUDA device."""

    def __init__(self, path: Path, config: ModelConfig, *, device: str, dtype: str, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = device
        self.dtype = dtype
        self._module = load_model(path, config, dtype=DTYPES[dtype]).to(device)
        self._torch_dtype = DTYPES[dtype]

    def encode_text(self, input_ids: Array, attention_mask: Array) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            encoded = self._module.encode_text(
                torch.from_numpy(input_ids).to(self.device), torch.from_numpy(attention_mask).to(self.device)
            )
        return self._to_numpy(encoded)

    def encode_pose(self, pose_features: Array, frame_mask: Array) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            encoded = self._module.encode_pose(
                torch.from_numpy(pose_features).to(self.device, self._torch_dtype),
                torch.from_numpy(frame_mask).to(self.device),
            )
        return self._to_numpy(encoded)

    def _to_numpy(self, encoded: torch.Tensor) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = encoded.float().cpu().numpy()
        return vectors
