"""Reads the tensors of a PyTorch checkpoint without executing anything in it.

A checkpoint is a zip archive. `data.pkl` describes the objects, and files under `data/` hold the bytes of the tensors.
Tensors and plain containers are read; an object of any other class becomes an inert placeholder. Tensors stay on disk
until they are loaded, so the optimizer's state beside them costs nothing.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.checkpoints.pickle_machine import Name, Placeholder, read_pickle
from models.errors import CheckpointFormatError

# data.pkl of the released files is under 1 MB. Each byte of it may create an object of some 64 bytes.
DESCRIPTION_LIMIT_BYTES = 10_000_000
# A convolution over frames, height and width has weights of 5 dimensions, which no other stored tensor exceeds.
_RANK_LIMIT = 8
STORAGE_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
UNREADABLE = (
    zipfile.BadZipFile,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that is still on disk.

    Attributes:
        entry: file of the archive that holds its numbers.
        offset: of its first number in that file, in numbers.
        shape: of the tensor.
        stride: how many numbers lie between neighbours, for each dimension.
    """

    entry: str
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def load(self, archive: zipfile.ZipFile) -> Tensor:
        """Read the tensor into memory.

        Raises:
            CheckpointFormatError: the archive lacks the file, or the file has fewer bytes than the shape needs.
        """
        span = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        elements = 0 if 0 in self.shape else self.offset + span
        try:
            info = archive.getinfo(self.entry)
        except KeyError:
            raise CheckpointFormatError(f"the archive lacks {self.entry!r}") from None
        # With prod, because strides of 0 could repeat a few stored numbers until memory is full.
        needed = max(elements, prod(self.shape)) * self.dtype.itemsize
        if info.compress_type != zipfile.ZIP_STORED or info.file_size < needed:
            raise CheckpointFormatError(
                f"{self.entry!r} holds {info.file_size} bytes; its shape {self.shape} needs {needed}, uncompressed"
            )
        if elements == 0:
            return torch.empty(self.shape, dtype=self.dtype)
        flat = torch.frombuffer(bytearray(archive.read(info)), dtype=self.dtype, count=elements)
        return flat.as_strided(self.shape, self.stride, self.offset).contiguous()


class Storage(NamedTuple):
    """The numbers of one or more tensors: a file of the archive, and their format."""

    entry: str
    dtype: torch.dtype


def stand_for_call(function: object, arguments: object) -> object:
    """Return what stands for a call's result: a container, a tensor's description or a placeholder."""
    match function, arguments:
        case Name("collections", "OrderedDict"), ():
            return {}
        case Name("torch._utils", "_rebuild_parameter"), (StoredTensor() as tensor, *_):
            return tensor
        # The first of them is PyTorch's before version 0.4.
        case Name("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2"), (
            Storage() as storage,
            offset,
            shape,
            stride,
            *_,
        ):
            return _describe_tensor(storage, offset, shape, stride)
    return Placeholder()


def _describe_tensor(storage: Storage, offset: object, shape: object, stride: object) -> StoredTensor:
    if isinstance(shape, tuple) and isinstance(stride, tuple) and len(shape) == len(stride) <= _RANK_LIMIT:
        numbers = (offset, *shape, *stride)
        if all(type(number) is int and 0 <= number < 2**48 for number in numbers):
            return StoredTensor(storage.entry, storage.dtype, numbers[0], shape, stride)
    # The values are not shown, because the file may give values of any size.
    raise CheckpointFormatError(f"{storage.entry!r} has an impossible shape, stride or offset")


@contextmanager
def open_checkpoint(path: Path) -> Iterator[tuple[Any, zipfile.ZipFile]]:
    """Open a `.pt` file.

    Yields:
        What was pickled, with a StoredTensor for every tensor, and the archive to load these from.
    Raises:
        CheckpointFormatError: the file is damaged, or no checkpoint of PyTorch 1.6 or later.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
            if len(names) != 1:
                raise CheckpointFormatError(f"{path} holds {len(names)} data.pkl, a PyTorch checkpoint holds one")
            info = archive.getinfo(names[0])
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > DESCRIPTION_LIMIT_BYTES:
                raise CheckpointFormatError(f"{path}: {names[0]} of {info.file_size} bytes is no tensor description")
            prefix = names[0].removesuffix("data.pkl")

            def stand_for_storage(identifier: object) -> object:
                match identifier:
                    case ("storage", Name("torch", str(kind)), str(key), *_) if kind in STORAGE_DTYPES:
                        return Storage(f"{prefix}data/{key}", STORAGE_DTYPES[kind])
                return Placeholder()

            content = read_pickle(archive.read(info), call=stand_for_call, persistent=stand_for_storage)
            yield content, archive
    except UNREADABLE as error:
        raise CheckpointFormatError(
            f"{path} is no readable PyTorch checkpoint ({type(error).__name__}: {str(error)[:200]})"
        ) from error
