"""Made weights of the published names and shapes: drawn by name, so that any machine draws the same."""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

GOLDEN = Path(__file__).parents[2] / "golden"
SHAPES: dict[str, dict[str, list[int]]] = json.loads((GOLDEN / "video_networks.json").read_text())
"""Names and shapes of the tensors in s3d_howto100m.pth and rgb_imagenet.pt, but for counts of batches."""
BSL_CLASSES = 5383


def draw(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Draw a tensor whose layers keep their inputs' size."""
    noise = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape, dtype=np.float32)
    if name.endswith("running_var"):
        return np.asarray(1 + np.float32(0.1) * np.abs(noise))
    if "bn" in name and name.endswith("weight"):
        return 1 + np.float32(0.1) * noise
    if name.endswith(("bias", "running_mean")):
        return np.float32(0.1) * noise
    gain = 2.0 if "conv" in name else 1.0
    return noise * np.float32(np.sqrt(gain / np.prod(shape[1:])))


@cache
def _draw_all(network: str) -> dict[str, torch.Tensor]:
    drawn = {}
    for name, shape in SHAPES[network].items():
        # The texts are not read, and their 20 million numbers take a second to draw.
        numbers = np.zeros(shape, np.float32) if name.startswith("text_") else draw(name, tuple(shape))
        drawn[name] = torch.from_numpy(numbers)
    return drawn


def make_weights(network: str, *, classes: int | None = None) -> dict[str, torch.Tensor]:
    """Draw all tensors of a network; `classes` gives its classifier another size."""
    weights = dict(_draw_all(network))
    if classes is not None:
        for name, shape in (("weight", (classes, 1024, 1, 1, 1)), ("bias", (classes,))):
            weights[f"logits.conv3d.{name}"] = torch.from_numpy(draw(f"logits.conv3d.{name}", shape))
    return weights


def draw_clips(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Draw pictures between 0 and 1."""
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).random(shape, dtype=np.float32))
