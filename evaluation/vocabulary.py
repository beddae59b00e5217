"""What clips are asked for: the prompts of each task, and which examples take part."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar, get_args

from models.catalog import ModelConfig
from models.errors import UnknownLanguageError
from models.languages import DEFAULT_SPOKEN, build_prompt

Task = Literal["retrieval", "identification", "conceptualization"]
TASKS: tuple[Task, ...] = get_args(Task)
CONCEPT_TAG = "ase"
"""The one sign language that conceptualization names, whoever signs."""
RARE_COUNT = 20
"""Concepts with no more clips than this in pretraining are not in the vocabulary; the authors' limit."""


class Asked(Protocol):
    """What is read of an example; corpora's have more."""

    @property
    def text(self) -> str: ...
    @property
    def spoken_language(self) -> str | None: ...
    @property
    def sign_language(self) -> str | None: ...


AnyAsked = TypeVar("AnyAsked", bound=Asked)


def write_prompts(config: ModelConfig, examples: Sequence[Asked], *, task: Task, tagged: bool = True) -> list[str]:
    """Write each example's prompt; examples with equal prompts are right answers to each other.

    Args:
        config: the model, whose pattern the prompts follow.
        examples: of one data set.
        task: ``retrieval`` asks for the text in its sign language; ``identification`` for the sign language alone, so
            that the nearest prompt names it; ``conceptualization`` for the text under one and the same tag, so that
            all clips of a concept are right, whatever their languages.
        tagged: name languages; False: the texts as they are.
    Raises:
        ValueError: identification without tags, or of examples without a sign language.
    Source: SignCLIPPretrainMetaProcessor, J22Melody/fairseq@a8199440.
    """
    if task == "identification":
        if not tagged:
            raise ValueError("identification asks for tags; it cannot go without them")
        nameless = sum(example.sign_language is None for example in examples)
        if nameless:
            raise ValueError(f"{nameless} of {len(examples)} examples have no sign language to identify")
    if not tagged:
        return [example.text for example in examples]
    written: dict[tuple[str, str | None, str | None], str] = {}
    prompts = []
    for example in examples:
        text = "" if task == "identification" else example.text
        sign = CONCEPT_TAG if task == "conceptualization" else example.sign_language
        spoken = example.spoken_language if sign is not None else None
        key = (text, sign, spoken)
        if key not in written:
            written[key] = _write(config, text, sign, spoken)
        prompts.append(written[key])
    return prompts


def _write(config: ModelConfig, text: str, sign: str | None, spoken: str | None) -> str:
    try:
        return build_prompt(config, text, sign_language=sign, spoken_language=spoken).text
    except UnknownLanguageError:
        # A data set may have tags of its own; to a model they are one more word, as they would be in training.
        return config.prompt.format(spoken=spoken or DEFAULT_SPOKEN, sign=sign, language=sign, text=text)


def read_vocabulary(path: Path, *, over: int = RARE_COUNT) -> frozenset[str]:
    """Read the texts that count as known.

    Args:
        path: CSV with the columns text and count, as the authors' data_stat_sp_concept_dis.csv, or one text a line.
        over: texts with counts up to this are left out; of a plain list nothing is.
    Raises:
        ValueError: a CSV file without these columns.
    """
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix != ".csv":
            return frozenset(line.strip() for line in file if line.strip())
        rows = csv.DictReader(file)
        if not {"text", "count"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path} has the columns {rows.fieldnames}; text and count are needed")
        return frozenset(row["text"] for row in rows if int(row["count"]) > over)


def common_texts(examples: Iterable[Asked], *, over: int = RARE_COUNT) -> frozenset[str]:
    """Texts that more than so many examples have, in whatever languages."""
    counts = Counter(example.text for example in examples)
    return frozenset(text for text, count in counts.items() if count > over)


def within_vocabulary(examples: Sequence[AnyAsked], vocabulary: frozenset[str]) -> list[AnyAsked]:
    """Keep the examples whose text is known.

    Raises:
        ValueError: none is.
    """
    known = [example for example in examples if example.text in vocabulary]
    if not known:
        raise ValueError(f"none of {len(examples)} examples has a text of the vocabulary ({len(vocabulary)} texts)")
    return known
