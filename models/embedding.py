"""A loaded model as users hold it: texts or pose features in, float32 vectors out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.backends import Backend
from models.catalog import ModelConfig
from models.errors import ShapeError
from models.tokenization import Tokenizer

Tower = Literal["text", "pose"]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EmbeddingModel:
    """One model, ready to run.

    Attributes:
        digest: SHA-256 of the checkpoint its weights came from, hex.
    """

    config: ModelConfig
    tokenizer: Tokenizer
    backend: Backend
    digest: str

    @property
    def dtype(self) -> str:
        """Number format of its forward pass."""
        return self.backend.dtype

    def encode(self, tower: Tower, items: Sequence[npt.NDArray[Any]]) -> Vectors:
        """Run one tower once over all items, padded to the longest.

        Args:
            items: text: int (tokens,), [CLS] pieces… [SEP]; pose: float32 (frames, features). At least one.
        Returns:
            float32 (items, embed_dim), raw: not normalized.
        Raises:
            ShapeError: an item is empty, too long, or of another number of features.
        """
        lengths = np.array([len(item) for item in items])
        longest = self.config.max_tokens - 1 if tower == "text" else self.config.max_frames
        if not (lengths.min() >= 1 and lengths.max() <= longest):
            raise ShapeError(
                f"{tower} items of {lengths.min()} to {lengths.max()}; model {self.config.name!r} takes 1 to {longest}"
            )
        mask = np.arange(lengths.max())[None, :] < lengths[:, None]  # (items, longest)
        if tower == "text":
            input_ids = np.zeros(mask.shape, dtype=np.int64)
            input_ids[mask] = np.concatenate(items)
            return self.backend.encode_text(input_ids, mask)
        widths = {item.shape[1] for item in items}
        if widths != {self.config.feature_dim}:
            raise ShapeError(
                f"poses of {sorted(widths)} features; model {self.config.name!r} takes {self.config.feature_dim}"
            )
        pose_features = np.zeros((*mask.shape, self.config.feature_dim), dtype=np.float32)
        pose_features[mask] = np.concatenate(items)
        return self.backend.encode_pose(pose_features, mask)

    def embed_text(self, texts: Sequence[str], *, normalize: bool = True) -> Vectors:
        """Embed texts as they are (prompts come from models.languages): float32 (texts, embed_dim).

        Pieces past config.max_pieces are cut, as in training.
        """
        pieces = self.tokenizer.pieces(texts)
        items = [self.tokenizer.input_ids(piece, max_pieces=self.config.max_pieces) for piece in pieces]
        return self._embed("text", items, normalize=normalize)

    def embed_pose(self, pose_features: Sequence[npt.NDArray[np.float32]], *, normalize: bool = True) -> Vectors:
        """Embed clips given as features, float32 (frames, features) each: float32 (clips, embed_dim).

        Frames past config.max_frames are cut, as in training.
        """
        return self._embed("pose", [clip[: self.config.max_frames] for clip in pose_features], normalize=normalize)

    def _embed(self, tower: Tower, items: Sequence[npt.NDArray[Any]], *, normalize: bool) -> Vectors:
        if not items:
            return np.zeros((0, self.config.embed_dim), dtype=np.float32)
        raw = self.encode(tower, items)
        return unit_length(raw) if normalize else raw


def unit_length(vectors: Vectors) -> Vectors:
    """Scale each row to length 1; a row of zeros stays. float32 (rows, dim)."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)
    return scaled
