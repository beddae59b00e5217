"""Backends: ways to run the forward pass of a tower, all with float32 vectors as the result."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from models.vectors import Vectors

Array = npt.NDArray[Any]


class Backend(Protocol):
    """One model on one device, which takes padded batches. One thread calls it at a time."""

    device: str
    dtype: str

    def encode_text(self, input_ids: Array, attention_mask: Array) -> Vectors:
        """Encode int64 and bool (batch, tokens) as float32 (batch, embed_dim), raw."""
        ...

    def encode_pose(self, pose_features: Array, frame_mask: Array) -> Vectors:
        """Encode float32 (batch, frames, features) and bool (batch, frames) as float32 (batch, embed_dim), raw."""
        ...


class Pending(Protocol):
    """A batch that was started."""

    @property
    def is_done(self) -> bool:
        """Whether `wait` returns at once."""
        ...

    def wait(self) -> Vectors:
        """Wait until it is done: float32 (items, embed_dim), raw. May be called once."""
        ...


@runtime_checkable
class PackingBackend(Backend, Protocol):
    """A backend that takes batches without padding, and takes the next batch while one runs."""

    def begin(self, tower: str, arrays: Sequence[Array], lengths: npt.NDArray[Any]) -> Pending:
        """Start a forward and return at once. Batches run in the order they were begun.

        Args:
            tower: "text" or "pose".
            arrays: all items, one after another, cut anywhere: an array an item, or fewer. text: int (tokens,); pose:
                float32 or float16 (frames, features). Not to be changed before the batch is done.
            lengths: int (items,), tokens or frames of each, at least 2 or 1.
        """
        ...
