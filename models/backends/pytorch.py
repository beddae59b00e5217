"""The forward pass in PyTorch over padded batches: the reference on every device."""

import logging
from pathlib import Path

import numpy as np
import torch

from models.architecture import SignClip
from models.backends import Array
from models.backends.tf32 import hold_format
from models.catalog import ModelConfig
from models.checkpoints.loading import load_model
from models.vectors import Vectors

log = logging.getLogger(__name__)
FORMATS = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# Items that run again in float32 together. This many clips of 256 frames need 0.1 GB of a device's memory.
_EXACT_ITEMS = 32


class TorchBackend:
    """A SignClip module on a CPU or a CUDA device.

    Args:
        path: safetensors file of the model.
        config: of the model.
        device: "cpu", "cuda" or "cuda:1".
        dtype: a key of FORMATS. In float16 an item that overflows, past 65504, runs again in float32.
        threads: cores that one forward pass may use; None: all cores of the process.
    """

    def __init__(self, path: Path, config: ModelConfig, *, device: str, dtype: str, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = device
        self.dtype = dtype
        self.config = config
        self.module = load_model(path, config, dtype=FORMATS[dtype]).to(device)
        self.vocab_size = len(self.module.text_tower.bert.embeddings.word_embeddings.weight)
        # Loaded now, so that it is of the same file. It is memory-mapped, so it takes no memory before it is used.
        self._exact = load_model(path, config) if dtype == "float16" else None

    def encode_text(self, input_ids: Array, attention_mask: Array) -> Vectors:
        """Encode int64 and bool (batch, tokens) as float32 (batch, embed_dim), raw."""
        return self._encode("text", input_ids, attention_mask)

    def encode_pose(self, pose_features: Array, frame_mask: Array) -> Vectors:
        """Encode float32 (batch, frames, features) and bool (batch, frames) as float32 (batch, embed_dim), raw."""
        return self._encode("pose", pose_features, frame_mask)

    def _encode(self, tower: str, items: Array, mask: Array) -> Vectors:
        vectors = self._run(self.module, tower, items, mask)
        if self.dtype == "float16":
            overflowed = ~np.isfinite(vectors).all(axis=1)
            if overflowed.any():
                vectors[overflowed] = self.encode_exactly(tower, items[overflowed], mask[overflowed])
        return vectors

    def encode_exactly(self, tower: str, items: Array, mask: Array) -> Vectors:
        """Run padded items in float32, because they overflowed in float16.

        Args:
            items: int64 (batch, tokens) or float32 (batch, frames, features).
            mask: bool (batch, tokens or frames), True where an item is.
        Returns:
            float32 (batch, embed_dim), raw.
        """
        log.info("items overflowed and run again in float32", extra={"tower": tower, "items": len(items)})
        if self._exact is not None:
            self._exact = self._exact.to(self.device)
        module = self.module if self._exact is None else self._exact
        starts = range(0, len(items), _EXACT_ITEMS)
        parts = [(items[start : start + _EXACT_ITEMS], mask[start : start + _EXACT_ITEMS]) for start in starts]
        return np.concatenate([self._run(module, tower, *part) for part in parts])

    def _run(self, module: SignClip, tower: str, items: Array, mask: Array) -> Vectors:
        encode = module.encode_text if tower == "text" else module.encode_pose
        # Hand geometry is computed from coordinates that need all of float32; after it the module uses its own format.
        geometry = module.pose_tower.geometry is not None
        dtype = torch.float32 if geometry else module.pose_tower.mlp.linear1.weight.dtype
        with hold_format(self.device, self.dtype), torch.inference_mode():
            there = torch.from_numpy(mask).to(self.device)
            values = torch.from_numpy(items).to(self.device, None if tower == "text" else dtype)
            vectors: Vectors = encode(values, there).float().cpu().numpy()
        return vectors
