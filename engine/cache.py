"""Vectors of texts that were embedded before: labels repeat, and a repeated label costs no forward pass."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.vectors import Vectors

# Model, digest of its checkpoint, bytes of the token ids.
_CacheKey = tuple[str, str, bytes]
_ID = np.dtype(np.int32)


def make_text_keys(arrays: Sequence[npt.NDArray[Any]], lengths: npt.NDArray[np.int64]) -> list[bytes]:
    """Make a part of a key for each of many texts.

    Args:
        arrays: integers (tokens,): token ids of all texts, one after another, cut anywhere.
        lengths: int64 (texts,), tokens of each.
    Returns:
        for each text, the same bytes for the same ids, whatever their integer type; other bytes for other ids.
    """
    joined = np.concatenate(arrays, dtype=_ID, casting="same_kind").tobytes() if len(arrays) else b""
    ends = (np.cumsum(lengths) * _ID.itemsize).tolist()
    return [joined[start:end] for start, end in zip([0, *ends], ends, strict=False)]


class TextCache:
    """Least-recently-used map from model, checkpoint and token ids to a vector. May be shared between threads.

    Args:
        capacity: vectors that are kept; 0 keeps none. A vector of 768 numbers takes 3 kB.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[_CacheKey, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def keeps_any(self) -> bool:
        """Whether a vector can be kept at all."""
        return self._capacity > 0

    def get(self, model: str, digest: str, keys: Sequence[bytes]) -> list[Vectors | None]:
        """Get the vectors of texts, which counts as a use of them.

        Args:
            digest: SHA-256 of the model's checkpoint, hex.
            keys: as make_text_keys makes them.
        Returns:
            for each key float32 (embed_dim,), not normalized, which must not be changed; None when it is not kept.
        """
        with self._lock:
            found = [self._vectors.get((model, digest, key)) for key in keys]
            for key, vector in zip(keys, found, strict=True):
                if vector is not None:
                    self._vectors.move_to_end((model, digest, key))
        return found

    def put(self, model: str, digest: str, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Keep copies of vectors; past the capacity, the least recently used vectors go.

        Args:
            digest: SHA-256 of the model's checkpoint, hex.
            keys: as make_text_keys makes them.
            vectors: float32 (texts, embed_dim), not normalized.
        """
        if not self._capacity:
            return
        # A view would keep the vectors of its whole batch in memory.
        copies = [vector.copy() for vector in vectors]
        with self._lock:
            for key, vector in zip(keys, copies, strict=True):
                self._vectors[model, digest, key] = vector
                self._vectors.move_to_end((model, digest, key))
            while len(self._vectors) > self._capacity:
                self._vectors.popitem(last=False)
