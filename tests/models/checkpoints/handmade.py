"""Checkpoints written by hand, opcode by opcode: what torch.save would never write."""

import zipfile
from pathlib import Path

import torch

from models.checkpoints.pickled import open_checkpoint

HEAD = b"\x80\x02"
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ%bccollections\nOrderedDict\n)RtR"
)
"""A tensor over the storage `0`; %b is offset, shape, stride, requires_grad."""
TWO_BY_THREE = TENSOR.replace(b"%b", b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89")
SIX_FLOATS = torch.arange(6, dtype=torch.float32).numpy().tobytes()


def write_archive(
    path: Path, description: bytes, storage: bytes = SIX_FLOATS, compression: int = zipfile.ZIP_STORED
) -> Path:
    """Write a checkpoint: its description, and one storage called 0."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", description)
        file.writestr("archive/data/0", storage)
    return path


def load_tensor(path: Path, key: str = "w") -> torch.Tensor:
    with open_checkpoint(path) as (content, file):
        tensor: torch.Tensor = content["model"][key].load(file)
    return tensor


def beside(value: bytes) -> bytes:
    """A checkpoint's description with something standing beside its one tensor."""
    return (
        HEAD + b"}(X\x04\x00\x00\x00args" + value + b"X\x05\x00\x00\x00model}X\x01\x00\x00\x00w" + TWO_BY_THREE + b"su."
    )
