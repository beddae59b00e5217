"""One forward pass over items that may fail: each item gets its vector, or the reason why it has no vector."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import DeviceMemoryError, EngineError, ItemFailedError, ModelFailedError
from models.backends import Pending
from models.backends.memory import give_back, is_exhausted
from models.batching import cut_into_items
from models.catalog import Tower
from models.vectors import Vectors

log = logging.getLogger(__name__)
Arrays = Sequence[npt.NDArray[Any]]


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

    @property
    def packs(self) -> bool:
        """Whether its batches have no padding, and `begin` returns while the device computes."""
        ...

    def begin(self, tower: Tower, arrays: Arrays, lengths: npt.NDArray[np.int64]) -> Pending:
        """Start one tower over items. One thread makes all calls.

        Args:
            arrays: all items, one after another; an array holds one item or more. text: int32 (tokens,), [CLS] pieces…
                [SEP]; pose: float32 (frames, features). At least one item.
            lengths: int64 (items,), tokens or frames of each.
        Returns:
            The batch; its `wait` gives float32 (items, embed_dim), not normalized.
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


@dataclass(frozen=True)
class Outcome:
    """What became of the items of a batch.

    Attributes:
        vectors: float32 (items, embed_dim), rows of 0 for items that failed; (items, 0) if all failed.
        failures: why items failed, by their place in the batch.
    """

    vectors: Vectors
    failures: Mapping[int, EngineError]


def check(vectors: Vectors, count: int) -> Outcome:
    """Check the vectors of a batch: an item whose vector is not finite has failed.

    Args:
        vectors: what the model gave for the batch, float32 (count, embed_dim) if it is right.
        count: items of the batch.
    Raises:
        ValueError: that is not one vector for each item.
        TypeError: it holds no numbers.
    """
    if vectors.ndim != 2 or len(vectors) != count:
        raise ValueError(f"{count} items gave vectors of shape {vectors.shape}")
    finite = np.isfinite(vectors)
    if finite.all():
        return Outcome(vectors, {})
    failed = np.flatnonzero(~finite.all(axis=1))
    kept = vectors.copy()
    kept[failed] = 0
    error = "the model gave NaN or infinity for this item"
    return Outcome(kept, {place: ItemFailedError(error) for place in failed.tolist()})


def isolate(
    model: LoadedModel, tower: Tower, arrays: Arrays, lengths: npt.NDArray[np.int64], *, error: Exception
) -> Outcome:
    """Run each half of a batch that failed again, until the items that make it fail are alone.

    A batch that the device has no memory for is split in the same way.
    One bad item among n costs 2 log2(n) more forward passes and no other item its vector.

    Args:
        arrays: all items, one after another, as LoadedModel.begin takes them.
        lengths: int64 (items,), tokens or frames of each.
        error: what the model raised.
    """
    log.warning("a forward pass failed", extra={"tower": tower, "items": len(lengths), "error": type(error).__name__})
    if len(lengths) == 1:
        return _fail_alone(model, tower, arrays, lengths, error=error)
    if is_exhausted(error):
        give_back()
    items, half = cut_into_items(arrays, lengths), len(lengths) // 2
    first = _attempt(model, tower, items[:half], lengths[:half])
    second = _attempt(model, tower, items[half:], lengths[half:])
    return _join(first, second)


def _fail_alone(
    model: LoadedModel, tower: Tower, arrays: Arrays, lengths: npt.NDArray[np.int64], *, error: Exception
) -> Outcome:
    """Say why an item failed alone; where the device had no memory left, run it once more first."""
    if is_exhausted(error):
        give_back()
        try:
            return check(model.begin(tower, arrays, lengths).wait(), 1)
        except Exception as again:  # noqa: BLE001  whatever it is, this was the last attempt
            error = again
    failure = ItemFailedError(f"the model failed on this item ({type(error).__name__})")
    if is_exhausted(error):
        size = f"{lengths[0]} {'tokens' if tower == 'text' else 'frames'}"
        failure = DeviceMemoryError(
            f"the device has too little free memory for an item of {size}; send it again later, or a shorter one"
        )
    return Outcome(np.zeros((1, 0), dtype=np.float32), {0: failure})


def _attempt(model: LoadedModel, tower: Tower, arrays: Arrays, lengths: npt.NDArray[np.int64]) -> Outcome:
    try:
        return check(model.begin(tower, arrays, lengths).wait(), len(lengths))
    except Exception as error:  # noqa: BLE001  the other items of the batch are answered, whatever one item does
        return isolate(model, tower, arrays, lengths, error=error)


def _join(first: Outcome, second: Outcome) -> Outcome:
    dim = max(first.vectors.shape[1], second.vectors.shape[1])
    parts = [
        outcome.vectors if outcome.vectors.shape[1] else np.zeros((len(outcome.vectors), dim), dtype=np.float32)
        for outcome in (first, second)
    ]
    moved = {place + len(first.vectors): error for place, error in second.failures.items()}
    return Outcome(np.concatenate(parts), {**first.failures, **moved})
