"""Vectors of texts that were embedded before: labels repeat, and a repeated label costs no forward pass."""

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

from models.vectors import Vectors

# Model, digest of its checkpoint, bytes of the token ids.
CacheKey = tuple[str, str, bytes]


def make_text_key(input_ids: npt.NDArray[Any]) -> bytes:
    """Make a part of a key from a text's token ids.

    Args:
        input_ids: integers (tokens,).
    Returns:
        the same bytes for the same ids, whatever their integer type; other bytes for other ids.
    """
    return np.asarray(input_ids, dtype=np.int64).tobytes()


class TextCache:
    """Least-recently-used map from model, checkpoint and token ids to a vector. May be shared between threads.

    Args:
        capacity: vectors that are kept; 0 keeps none. A vector of 768 numbers takes 3 kB.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[CacheKey, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, key: CacheKey) -> Vectors | None:
        """Get a vector, which counts as a use of it.

        Returns:
            float32 (embed_dim,), not normalized, which must not be changed; None when it is not kept.
        """
        with self._lock:
            vector = self._vectors.get(key)
            if vector is not None:
                self._vectors.move_to_end(key)
            return vector

    def put(self, key: CacheKey, vector: Vectors) -> None:
        """Keep a copy of a vector; past the capacity, the least recently used vector goes.

        Args:
            vector: float32 (embed_dim,), not normalized.
        """
        if self._capacity == 0:
            return
        with self._lock:
            self._vectors[key] = vector.copy()  # a view would keep the vectors of its whole batch in memory
            self._vectors.move_to_end(key)
            while len(self._vectors) > self._capacity:
                self._vectors.popitem(last=False)
