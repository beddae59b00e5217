"""Reads the tensors of checkpoints that PyTorch before 1.6 wrote, without executing anything in them.

Such a file is no archive but one stream: pickles with a magic number, the form's version, the machine's byte order, the
content, and the keys of the storages; then for each key the number of its elements and their bytes. Networks that were
published in 2017 to 2020 are kept so.
"""

import io
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.checkpoints.pickle_machine import Name, Placeholder, read_pickle
from models.checkpoints.pickled import (
    DESCRIPTION_LIMIT_BYTES,
    STORAGE_DTYPES,
    UNREADABLE,
    Storage,
    StoredTensor,
    stand_for_call,
)
from models.errors import CheckpointFormatError

# Source: torch/serialization.py.
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_COUNT_BYTES = 8


@dataclass(frozen=True)
class StreamedCheckpoint:
    """A file in the form before PyTorch 1.6.

    Attributes:
        content: what was pickled, with a StoredTensor for every tensor.
        places: of each storage, by its key: where its numbers begin in the file, in bytes, and how many there are.
    """

    path: Path
    content: Any
    places: dict[str, tuple[int, int]]

    def load(self, stored: StoredTensor) -> Tensor:
        """Read a tensor into memory.

        Raises:
            CheckpointFormatError: the file lacks the storage, or the storage has fewer numbers than the shape needs.
        """
        start, count = self.places.get(stored.entry, (0, -1))
        span = 1 + sum((size - 1) * step for size, step in zip(stored.shape, stored.stride, strict=True))
        elements = 0 if 0 in stored.shape else stored.offset + span
        if max(elements, prod(stored.shape)) > count:
            raise CheckpointFormatError(
                f"storage {stored.entry!r} has {count} numbers; {stored.shape} needs {elements}"
            )
        if elements == 0:
            return torch.empty(stored.shape, dtype=stored.dtype)
        with self.path.open("rb") as file:
            file.seek(start)
            numbers = bytearray(file.read(elements * stored.dtype.itemsize))
        flat = torch.frombuffer(numbers, dtype=stored.dtype, count=elements)
        return flat.as_strided(stored.shape, stored.stride, stored.offset).contiguous()


def read_streamed(path: Path) -> StreamedCheckpoint:
    """Read what a file contains; tensors stay on disk.

    Raises:
        CheckpointFormatError: the file is damaged, or of another form.
    """
    try:
        return _read(path)
    except UNREADABLE as error:
        raise CheckpointFormatError(
            f"{path} is no readable PyTorch checkpoint ({type(error).__name__}: {str(error)[:200]})"
        ) from error


def _read(path: Path) -> StreamedCheckpoint:
    dtypes: dict[str, torch.dtype] = {}

    def stand_for_storage(identifier: object) -> object:
        match identifier:
            case ("storage", Name("torch", str(kind)), str(key), _, _, None) if kind in STORAGE_DTYPES:
                dtypes[key] = STORAGE_DTYPES[kind]
                return Storage(key, dtypes[key])
        return Placeholder()

    with path.open("rb") as file:
        size = path.stat().st_size
        description = io.BytesIO(file.read(DESCRIPTION_LIMIT_BYTES))

        def read_next() -> Any:
            return read_pickle(description, call=stand_for_call, persistent=stand_for_storage)

        magic, version, machine = read_next(), read_next(), read_next()
        if (magic, version) != (_MAGIC, _VERSION) or not (isinstance(machine, dict) and machine.get("little_endian")):
            raise CheckpointFormatError(f"{path} is no PyTorch checkpoint of a little-endian machine")
        content, keys = read_next(), read_next()
        places = {}
        position = description.tell()
        for key in keys:
            file.seek(position)
            count = int.from_bytes(file.read(_COUNT_BYTES), "little", signed=True)
            start = position + _COUNT_BYTES
            position = start + count * dtypes[key].itemsize
            if count < 0 or position > size:
                raise CheckpointFormatError(f"{path} ends before storage {key!r} of {count} numbers")
            places[key] = (start, count)
    return StreamedCheckpoint(path, content, places)
