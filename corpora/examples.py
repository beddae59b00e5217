"""The one form that all data sets take: examples, and what is known of the whole set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from corpora.errors import TaskError

Split = Literal["train", "val", "test", "all"]
SPLITS: tuple[Split, ...] = get_args(Split)
_SHOWN_SKIPPED = 3


@dataclass(frozen=True, slots=True)
class Example:
    """One signed item and its meaning.

    Attributes:
        id: unique in its data set.
        path: a .pose file, an array (.npy, .parquet), or a video whose pose has not been estimated yet.
        text: what was signed, without the data set's own marks. The prompt contains it.
        label: equal for examples of one sign or concept, in any sign language. Statistics count labels; retrieval
            compares prompts, which are made of text and languages.
        split: "train", "val" or "test"; "all" if the data set is not divided.
        spoken_language: tag of the text's language.
        sign_language: tag as in configs/languages.csv, or the data set's own if that table has none.
        start_s: where the item starts in the file, in seconds; None: at the file's start.
        end_s: where the item ends in the file, in seconds; None: at the file's end.
        signer: the data set's number or name of the person who signs; None if the data set does not say.
        gloss: the text as it was published, if it was cleaned.
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
    """A row that did not become an example, or a clip that cannot be read, and the reason."""

    id: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """A data set, or a part of it.

    Attributes:
        name: as in the registry.
        root: the folder that it was read from.
        examples: in the order of the published tables.
        prompt_pattern: may name {spoken}, {sign}, {language} and {text}, as a model's configuration does.
        features: the kind that the paper's experiments compute, a name of corpora.feature_kinds.
        licence: what the publishers allow, in a few words. Their own page is what counts.
        source: where the data set is published.
        skipped: rows that did not become examples: without a file, without a text, or with a fault.
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

    def describe_skipped(self) -> str:
        """Say how many rows did not become examples, and why the first ones did not."""
        if not self.skipped:
            return "the data set has no rows"
        first = "; ".join(f"{note.id}: {note.reason}" for note in self.skipped[:_SHOWN_SKIPPED])
        return f"{len(self.skipped)} rows were skipped, such as {first}"

    def select(self, examples: Sequence[Example]) -> Corpus:
        """Return the same data set with only these of its examples."""
        return replace(self, examples=tuple(examples))

    def select_sign_languages(self, tags: Sequence[str]) -> Corpus:
        """Return the same data set with only the examples of these sign languages.

        Raises:
            TaskError: one of them has no example.
        """
        examples = [example for example in self.examples if example.sign_language in tags]
        for tag in tags:
            if not any(example.sign_language == tag for example in examples):
                known = sorted({example.sign_language for example in self.examples if example.sign_language})
                raise TaskError(f"{self.name} has no clip of the sign language {tag!r}; it has {', '.join(known)}")
        return self.select(examples)


Reader = Callable[[Path, Split], Corpus]
"""Reads the data set below a folder, or one of its parts.

It raises a CorpusError when a table is missing or wrong. Rows whose file is missing, that have no text, or that make no
sense, are listed as skipped.
"""
