"""Ways to run a tower's forward pass. Each takes padded NumPy batches and gives float32 vectors."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Backend(Protocol):
    """One model on one device. Called by one thread at a time."""

    device: str
    dtype: str

    def encode_text(self, input_ids: Array, attention_mask: Array) -> npt.NDArray[np.float32]:
        """int64 and bool (batch, tokens) → float32 (batch, embed_dim), raw."""
        ...

    def encode_pose(self, pose_features: Array, frame_mask: Array) -> npt.NDArray[np.float32]:
        """float32 (batch, frames, features) and bool (batch, frames) → float32 (batch, embed_dim), raw."""
        ...
