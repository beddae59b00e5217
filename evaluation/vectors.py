"""Embeddings of a data set: computed in batches of like lengths, and kept with what they are of."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.embedding import EmbeddingModel

Floats = npt.NDArray[np.float32]
Strings = npt.NDArray[np.str_]
FRAMES_AT_ONCE = 8192
"""Padded frames of a batch: enough to keep one CPU core or a small GPU busy, 20 MB of features."""
CLIPS_READ_AHEAD = 1024
"""Clips held to find some of like lengths: 600 MB if all have 256 frames."""
TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class Vectors:
    """A data set seen by a model; every array is one row an example, but text and prompts.

    Attributes:
        ids, texts, sign_languages: of the examples; a sign language that is not known is "".
        pose: float32 (examples, embed_dim), raw.
        prompt_of: int64 (examples,), rows of text.
        prompts: (prompts,), all different.
        text: float32 (prompts, embed_dim), raw.
    """

    ids: Strings
    texts: Strings
    sign_languages: Strings
    pose: Floats
    prompt_of: npt.NDArray[np.int64]
    prompts: Strings
    text: Floats

    def save(self, path: Path) -> None:
        """Write an .npz file without pickles."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Vectors":
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def embed_clips(model: EmbeddingModel, clips: Iterable[Floats], *, frames_at_once: int = FRAMES_AT_ONCE) -> Floats:
    """Embed clips that are read as they are needed.

    Args:
        clips: float32 (frames, features) each; frames past the model's max_frames are cut.
        frames_at_once: padded frames of a batch.
    Returns:
        float32 (clips, embed_dim), raw, in the order of clips.
    """
    source = iter(clips)
    parts = [np.zeros((0, model.config.embed_dim), dtype=np.float32)]
    while ahead := list(islice(source, CLIPS_READ_AHEAD)):
        lengths = np.array([min(len(clip), model.config.max_frames) for clip in ahead])
        vectors = np.empty((len(ahead), model.config.embed_dim), dtype=np.float32)
        for rows in _batches(lengths, frames_at_once):
            vectors[rows] = model.embed_pose([ahead[row] for row in rows], normalize=False)
        parts.append(vectors)
    return np.concatenate(parts)


def _batches(lengths: npt.NDArray[np.int64], frames_at_once: int) -> Iterator[npt.NDArray[np.int64]]:
    # Rows in batches of rising length; each as large as its longest clip allows.
    order = np.argsort(lengths, kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > frames_at_once:
            yield order[start:end]
            start = end


def embed_prompts(model: EmbeddingModel, prompts: Sequence[str]) -> Floats:
    """Embed texts as they are: float32 (prompts, embed_dim), raw, in the order given."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    vectors = np.zeros((len(prompts), model.config.embed_dim), dtype=np.float32)
    for start in range(0, len(order), TEXTS_AT_ONCE):
        rows = order[start : start + TEXTS_AT_ONCE]
        vectors[rows] = model.embed_text([prompts[row] for row in rows], normalize=False)
    return vectors
