"""One forward pass over items that may fail: each item gets its vector, or the reason why it has no vector."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError, ItemFailedError, ModelFailedError
from models.catalog import Tower
from models.vectors import Vectors

# A vector, float32 (embed_dim,), or why an item has none.
Outcome = Vectors | EngineError
log = logging.getLogger(__name__)


class LoadedModel(Protocol):
    """One model in memory; it stays there as long as something refers to it."""

    @property
    def digest(self) -> str:
        """SHA-256 of the checkpoint its weights came from, hex."""
        ...

    @property
    def dtype(self) -> str:
        """Number format of its forward pass."""
        ...

    def encode(self, tower: Tower, items: Sequence[npt.NDArray[Any]]) -> Vectors:
        """Run one tower once over all items.

        Args:
            items: text: int32 (tokens,), [CLS] pieces… [SEP]; pose: float32 (frames, features). At least one.
        Returns:
            float32 (items, embed_dim), not normalized.
        """
        ...


class Models(Protocol):
    """Where the owner thread finds its models. No method may block."""

    def get_loaded(self, name: str) -> LoadedModel | None:
        """Get a model that is loaded; None: it is not."""
        ...

    def start_loading(self, name: str, on_end: Callable[[ModelFailedError | None], None]) -> None:
        """Start to load a model; `on_end` is called once, from any thread, with the reason if it does not load."""
        ...


def attempt(model: LoadedModel, tower: Tower, items: list[npt.NDArray[Any]]) -> list[Outcome]:
    """Run one forward pass; if it fails, run each half again, until the items that make it fail are alone.

    One bad item among n costs 2 log2(n) more forward passes and no other item its vector.

    Args:
        items: text: int32 (tokens,), [CLS] pieces… [SEP]; pose: float32 (frames, features). At least one.
    Returns:
        for each item float32 (embed_dim,), or why it has no vector.
    """
    try:
        vectors = _encode(model, tower, items)
        finite = np.isfinite(vectors).all(axis=1)
    except Exception as error:  # noqa: BLE001  the other items of the batch are answered, whatever one item does
        log.warning("a forward pass failed", extra={"tower": tower, "items": len(items), "error": type(error).__name__})
        if len(items) == 1:
            return [ItemFailedError(f"the model failed on this item ({type(error).__name__})")]
        half = len(items) // 2
        return attempt(model, tower, items[:half]) + attempt(model, tower, items[half:])
    return [
        vector if good else ItemFailedError("the model gave NaN or infinity for this item")
        for vector, good in zip(vectors, finite, strict=True)
    ]


def _encode(model: LoadedModel, tower: Tower, items: list[npt.NDArray[Any]]) -> Vectors:
    vectors = model.encode(tower, items)
    if vectors.ndim != 2 or len(vectors) != len(items):
        raise ValueError(f"{len(items)} items gave vectors of shape {vectors.shape}")
    return vectors
