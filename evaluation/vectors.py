"""Embeddings of a data set, kept with what they are of."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaluation.clips import Floats

Strings = npt.NDArray[np.str_]


@dataclass(frozen=True)
class EmbeddedCorpus:
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
    def load(cls, path: Path) -> "EmbeddedCorpus":
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})
