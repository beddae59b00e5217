"""The one form that all data sets come in: examples, and what a model is told about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from models.languages import language_table

Split = Literal["train", "val", "test", "all"]
SPLITS: tuple[Split, ...] = get_args(Split)
Task = Literal["full", "identification", "conceptualization"]


@dataclass(frozen=True, slots=True)
class Example:
    """One signed item and what it means.

    Attributes:
        id: unique in its data set.
        path: a .pose file, an array (.npy, .parquet) or, where nobody estimated the pose yet, a video.
        text: what was signed, cleaned of the data set's own marks; stands in the prompt.
        label: equal for examples of one sign or concept, in any sign language: what statistics count. Retrieval is by
            prompts, made of text and languages.
        split: "train", "val" or "test"; "all" where the data set is not divided.
        spoken_language: tag of the text's language.
        sign_language: tag as in configs/languages.csv, or the data set's own where that table has none.
        start_s: where in the file the item starts, in seconds; None: at its start.
        end_s: where it ends; None: at its end.
        signer: who signs, as the data set numbers them; None where it does not say.
        gloss: the text as published, where it was cleaned.
    """

    id: str
    path: Path
    text: str
    label: str
    split: str
    spoken_language: str | None = None
    sign_language: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    signer: str | None = None
    gloss: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that no example was made of, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """A data set, or a part of it.

    Attributes:
        name: as in the registry.
        root: folder that it was read from.
        examples: in the order of the published tables.
        prompt_pattern: may name {spoken}, {sign}, {language} and {text}, as a model's configuration does.
        features: the kind that the paper's experiments compute, a name in corpora.feature_kinds.
        licence: what its publishers allow, in a few words; their own page is what counts.
        source: where it is published.
        skipped: rows without a usable file.
    """

    name: str
    root: Path
    examples: tuple[Example, ...]
    prompt_pattern: str
    features: str
    licence: str
    source: str
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.examples)

    def prompt(self, example: Example, *, task: Task = "full") -> str:
        """Write an example's text as the model sees it.

        Args:
            example: one of this data set.
            task: ``identification`` leaves the text out, so that only languages can tell clips apart;
                ``conceptualization`` calls every sign language American, so that only the text can.
        Source: SignCLIPPretrainMetaProcessor.__getitem__, J22Melody/fairseq, dsprocessor_sign.py.
        """
        text = "" if task == "identification" else example.text
        sign = "ase" if task == "conceptualization" else example.sign_language
        if sign is None and "{sign}" in self.prompt_pattern:
            return text
        language = language_table().get(sign or "")
        return self.prompt_pattern.format(
            spoken=example.spoken_language or "en", sign=sign, language=language.name if language else sign, text=text
        )

    def subset(self, examples: Sequence[Example]) -> Corpus:
        """The same data set with some of its examples."""
        return replace(self, examples=tuple(examples))


Reader = Callable[[Path, Split], Corpus]
"""Reads a data set below a folder, or one of its parts.

Raises CorpusError when tables are missing or wrong; examples whose file is missing are listed as skipped.
"""

TAGGED_PROMPT = "<{spoken}> <{sign}> {text}"
"""SignCLIP's prompt for all data sets but the two of its preliminary experiments."""
