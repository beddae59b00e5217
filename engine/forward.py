"""One forward pass over items that may fail: each gets its vector, or the reason why it has none."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError, ItemFailedError
from models.backends import Vectors
from models.catalog import Tower

log = logging.getLogger(__name__)


class LoadedModel(Protocol):
    """One model in memory; it stays there as long as someone holds it."""

    @property
    def digest(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    def encode(self, tower: Tower, items: Sequence[npt.NDArray[Any]]) -> Vectors: ...


def attempt(model: LoadedModel, tower: Tower, arrays: list[npt.NDArray[Any]]) -> list[Vectors | EngineError]:
    """Run one forward; if it fails, each half again, so that one bad item costs its mates two forwards and not all."""
    try:
        vectors = model.encode(tower, arrays)
        if vectors.ndim != 2 or len(vectors) != len(arrays):
            raise ValueError(f"{len(arrays)} items gave vectors of shape {vectors.shape}")
        finite = np.isfinite(vectors).all(axis=1)
    except Exception as error:  # noqa: BLE001  whatever one item does, its batch mates are answered
        log.warning(
            "a forward pass failed", extra={"tower": tower, "items": len(arrays), "error": type(error).__name__}
        )
        if len(arrays) == 1:
            return [ItemFailedError(f"the model failed on this item ({type(error).__name__})")]
        half = len(arrays) // 2
        return attempt(model, tower, arrays[:half]) + attempt(model, tower, arrays[half:])
    return [
        vector if good else ItemFailedError("the model gave NaN or infinity for this item")
        for vector, good in zip(vectors, finite, strict=True)
    ]
