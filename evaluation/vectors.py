"""The embeddings of a data set, with the examples and prompts that they belong to."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from corpora.arrays import Float32Array, Int64Array, StringArray


@dataclass(frozen=True)
class EmbeddedCorpus:
    """A data set as a model embeds it. Arrays have one row an example, except `prompts` and `text`.

    Attributes:
        ids, texts, sign_languages: of the examples; "" stands for an unknown sign language.
        pose: float32 (examples, embed_dim), raw.
        prompt_of: int64 (examples,), the row of each example's prompt in `prompts` and `text`.
        prompts: (prompts,), all different.
        text: float32 (prompts, embed_dim), raw.
    """

    ids: StringArray
    texts: StringArray
    sign_languages: StringArray
    pose: Float32Array
    prompt_of: Int64Array
    prompts: StringArray
    text: Float32Array

    def save(self, path: Path) -> None:
        """Write an .npz file without pickles."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "EmbeddedCorpus":
        """Read what `save` wrote.

        Raises:
            OSError: the file does not exist or cannot be read.
            ValueError, KeyError: the file is damaged.
        """
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})
