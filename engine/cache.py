"""Vectors of texts seen before: labels repeat, and a repeated one costs nothing."""

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

Key = tuple[str, str, bytes]


def text_key(input_ids: npt.NDArray[Any]) -> bytes:
    """Token ids as part of a key; the same ids in another integer type give the same bytes, other ids never do."""
    return np.asarray(input_ids, dtype=np.int64).tobytes()


class TextCache:
    """Least-recently-used map from model, checkpoint and token ids to a raw vector. Safe to share between threads.

    Args:
        capacity: vectors kept; 0 keeps none. A vector of 768 numbers takes 3 kB.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[Key, npt.NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, key: Key) -> npt.NDArray[np.float32] | None:
        with self._lock:
            vector = self._vectors.get(key)
            if vector is not None:
                self._vectors.move_to_end(key)
            return vector

    def put(self, key: Key, vector: npt.NDArray[np.float32]) -> None:
        if self._capacity == 0:
            return
        with self._lock:
            self._vectors[key] = vector.copy()  # a row of its own, or it would keep its whole batch alive
            self._vectors.move_to_end(key)
            while len(self._vectors) > self._capacity:
                self._vectors.popitem(last=False)
