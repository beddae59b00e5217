"""Tensors out of a PyTorch checkpoint without executing anything in it.

A checkpoint is a zip archive: `data.pkl` describes the objects, one file each under `data/` holds a tensor's bytes. The
unpickler here knows tensors and plain containers; every other class becomes an inert placeholder. Tensors stay on disk
until asked for, so an optimizer's state beside them costs nothing.
"""

import collections
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from models.errors import CheckpointFormatError

# data.pkl of the released files is under 1 MB; a description 100 times as large is an attack or another kind of file.
_DESCRIPTION_LIMIT_BYTES = 100_000_000
_STORAGE_DTYPES = {
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
_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Placeholder:
    """Stands for an object of a class we do not know. Whatever the pickle does with it, nothing happens."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> "Placeholder":
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...

    def __call__(self, *_args: Any, **_kwargs: Any) -> "Placeholder":
        return Placeholder()

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def add(self, item: Any) -> None: ...


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that is still on disk: one entry of the archive, seen through a shape and strides (in elements)."""

    entry: str
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def load(self, archive: zipfile.ZipFile) -> Tensor:
        """Read it into memory of its own.

        Raises:
            CheckpointFormatError: its bytes are not in the archive, or fewer than its shape needs.
        """
        span = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        elements = 0 if 0 in self.shape else self.offset + span
        try:
            info = archive.getinfo(self.entry)
        except KeyError:
            raise CheckpointFormatError(f"the archive lacks {self.entry!r}") from None
        if info.compress_type != zipfile.ZIP_STORED or info.file_size < elements * self.dtype.itemsize:
            raise CheckpointFormatError(
                f"{self.entry!r} holds {info.file_size} bytes; its shape {self.shape} needs {elements} {self.dtype}"
            )
        if elements == 0:
            return torch.empty(self.shape, dtype=self.dtype)
        flat = torch.frombuffer(bytearray(archive.read(info)), dtype=self.dtype, count=elements)
        return flat.as_strided(self.shape, self.stride, self.offset).contiguous()


@dataclass(frozen=True)
class _Storage:
    entry: str
    dtype: torch.dtype


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_rest: Any) -> Any:
    """Stand in for torch._utils._rebuild_tensor_v2; anything but a tensor's description gives a placeholder."""
    if not isinstance(storage, _Storage):
        return Placeholder()
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or not all(isinstance(n, int) and 0 <= n < 2**48 for n in numbers):
        raise CheckpointFormatError(f"{storage.entry!r} has shape {shape}, stride {stride}, offset {offset}")
    if prod(shape) > 2**40:
        raise CheckpointFormatError(f"{storage.entry!r} claims {prod(shape)} elements")
    return StoredTensor(storage.entry, storage.dtype, offset, tuple(shape), tuple(stride))


def _rebuild_parameter(data: Any, *_rest: Any) -> Any:
    return data


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], prefix: str) -> None:
        super().__init__(file, encoding="utf-8")
        self._prefix = prefix

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        return Placeholder

    def persistent_load(self, identifier: Any) -> Any:
        match identifier:
            case ("storage", torch.dtype() as dtype, str(key), *_):
                return _Storage(f"{self._prefix}data/{key}", dtype)
        return Placeholder()


@contextmanager
def open_checkpoint(path: Path) -> Iterator[tuple[Any, zipfile.ZipFile]]:
    """Open a `.pt` file: what was pickled, its tensors as StoredTensor, and the archive to load them from.

    Raises:
        CheckpointFormatError: the file is no PyTorch checkpoint of torch 1.6 or later, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
            if len(names) != 1:
                raise CheckpointFormatError(f"{path} holds {len(names)} data.pkl, a PyTorch checkpoint holds one")
            info = archive.getinfo(names[0])
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > _DESCRIPTION_LIMIT_BYTES:
                raise CheckpointFormatError(f"{path}: {names[0]} of {info.file_size} bytes is no tensor description")
            with archive.open(info) as file:
                content = _TensorUnpickler(file, names[0].removesuffix("data.pkl")).load()
            yield content, archive
    except _UNREADABLE as error:
        raise CheckpointFormatError(
            f"{path} is no readable PyTorch checkpoint ({type(error).__name__}: {error})"
        ) from error
