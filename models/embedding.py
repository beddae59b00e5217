"""A loaded model: it takes texts or pose features and gives float32 vectors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import cast

import numpy as np
import numpy.typing as npt

from models.backends import Array, Backend, PackingBackend, Pending
from models.batching import cut_into_items, pad, split_by_length
from models.catalog import ModelConfig, Tower
from models.errors import ShapeError
from models.tokenization import Tokenizer
from models.vectors import Vectors, normalize_vectors

# Padded frames of a batch. These keep one CPU core or a small GPU busy, and take 20 MB of features.
FRAMES_AT_ONCE = 8192
# Clips that are read before they are sorted into batches of similar lengths; 600 MB if all have 256 frames.
CLIPS_READ_AHEAD = 1024
TEXTS_AT_ONCE = 256


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
        """Number format of the forward pass."""
        return self.backend.dtype

    @cached_property
    def packs(self) -> bool:
        """Whether its batches have no padding, and `begin` returns while the device computes."""
        return isinstance(self.backend, PackingBackend)

    def encode(self, tower: Tower, items: Sequence[Array]) -> Vectors:
        """Run one tower once over all items.

        Args:
            items: text: int (tokens,), [CLS] pieces… [SEP]; pose: float32 (frames, features). At least one.
        Returns:
            float32 (items, embed_dim), raw: not normalized.
        Raises:
            ShapeError: an item is empty, too long, or of another number of features.
        """
        return self.begin(tower, items).wait()

    def begin(self, tower: Tower, arrays: Sequence[Array], lengths: Array | None = None) -> Pending:
        """Start one tower over items. The next batch may be started before the caller waits for this one.

        On a GPU this returns while the device computes, elsewhere when the vectors are computed. One thread makes all
        calls, and batches run in the order of the calls.

        Args:
            arrays: all items, one after another, as for `encode`. With `lengths` one array may hold several items. The
                caller does not change them before the batch is done.
            lengths: int (items,), tokens or frames of each item; None: every array is one item.
        Returns:
            The batch; its `wait` gives float32 (items, embed_dim), raw.
        Raises:
            ShapeError: as encode.
        """
        if lengths is None:
            lengths = np.array([len(item) for item in arrays])
        longest = self.config.max_tokens - 1 if tower == "text" else self.config.max_frames
        if not (lengths.min() >= 1 and lengths.max() <= longest):
            raise ShapeError(
                f"{tower} items of {lengths.min()} to {lengths.max()}; model {self.config.name!r} takes 1 to {longest}"
            )
        if tower == "pose" and (widths := {array.shape[1] for array in arrays}) != {self.config.feature_dim}:
            raise ShapeError(
                f"poses of {sorted(widths)} features; model {self.config.name!r} takes {self.config.feature_dim}"
            )
        if self.packs:
            return cast(PackingBackend, self.backend).begin(tower, arrays, lengths)
        items = cut_into_items(arrays, lengths)
        if tower == "text":
            return _Done(self.backend.encode_text(*pad(items, dtype=np.int64)))
        return _Done(self.backend.encode_pose(*pad(items, dtype=np.float32)))

    def embed_text(self, texts: Sequence[str], *, normalize: bool = True) -> Vectors:
        """Embed texts as they are; models.prompts writes prompts.

        Args:
            texts: of any lengths; word pieces past config.max_pieces are cut, as in training.
            normalize: scale each vector to length 1.
        Returns:
            float32 (texts, embed_dim).
        """
        pieces = self.tokenizer.split(texts)
        items = [self.tokenizer.build_input_ids(piece, max_pieces=self.config.max_pieces) for piece in pieces]
        return self._embed("text", items, normalize=normalize)

    def embed_pose(self, pose_features: Sequence[npt.NDArray[np.float32]], *, normalize: bool = True) -> Vectors:
        """Embed clips that are given as features.

        Args:
            pose_features: float32 (frames, features) for each clip; frames past config.max_frames are cut, as in
                training.
            normalize: scale each vector to length 1.
        Returns:
            float32 (clips, embed_dim).
        Raises:
            ShapeError: a clip is empty, or of another number of features.
        """
        return self._embed("pose", [clip[: self.config.max_frames] for clip in pose_features], normalize=normalize)

    def _embed(self, tower: Tower, items: Sequence[Array], *, normalize: bool) -> Vectors:
        if not items:
            return np.zeros((0, self.config.embed_dim), dtype=np.float32)
        raw = self.encode(tower, items)
        return normalize_vectors(raw) if normalize else raw


@dataclass(frozen=True)
class _Done:
    vectors: Vectors
    is_done = True

    def wait(self) -> Vectors:
        return self.vectors


def embed_clips(
    model: EmbeddingModel, clips: Iterable[npt.NDArray[np.float32]], *, frames_at_once: int = FRAMES_AT_ONCE
) -> Vectors:
    """Embed any number of clips in batches of similar lengths. Clips are read as they are needed.

    Args:
        clips: float32 (frames, features) each; frames past the model's max_frames are cut.
        frames_at_once: padded frames of a batch.
    Returns:
        float32 (clips, embed_dim), raw, in the order of clips.
    Raises:
        ShapeError: a clip is empty, or of another number of features.
    """
    source = iter(clips)
    parts = [np.zeros((0, model.config.embed_dim), dtype=np.float32)]
    while ahead := list(islice(source, CLIPS_READ_AHEAD)):
        lengths = np.array([min(len(clip), model.config.max_frames) for clip in ahead])
        vectors = np.empty((len(ahead), model.config.embed_dim), dtype=np.float32)
        for rows in split_by_length(lengths, positions_at_once=frames_at_once):
            vectors[rows] = model.embed_pose([ahead[row] for row in rows], normalize=False)
        parts.append(vectors)
    return np.concatenate(parts)


def embed_prompts(model: EmbeddingModel, prompts: Sequence[str]) -> Vectors:
    """Embed any number of texts as they are: float32 (prompts, embed_dim), raw, in the order given."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    vectors = np.zeros((len(prompts), model.config.embed_dim), dtype=np.float32)
    for start in range(0, len(order), TEXTS_AT_ONCE):
        rows = order[start : start + TEXTS_AT_ONCE]
        vectors[rows] = model.embed_text([prompts[row] for row in rows], normalize=False)
    return vectors
