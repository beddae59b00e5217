"""The prompts of data sets: what an example's text looks like to a model, in training and in evaluation alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from corpora.errors import TaskError
from corpora.examples import Example
from models.prompts import fill_prompt

Task = Literal["retrieval", "identification", "identification_oracle", "conceptualization"]
TASKS: tuple[Task, ...] = get_args(Task)
# The authors' conceptualization names American Sign Language in every prompt, whatever language a clip is in.
# Source: SignCLIPPretrainMetaProcessor, J22Melody/fairseq@a8199440.
CONCEPT_TAG = "ase"


def write_prompts(
    pattern: str, examples: Sequence[Example], *, task: Task = "retrieval", tagged: bool = True
) -> list[str]:
    """Write each example's prompt. Examples with equal prompts are right answers to each other.

    Args:
        pattern: of a model or a data set; it may name {spoken}, {sign}, {language} and {text}.
        examples: of one data set.
        task: ``retrieval`` writes the text and its languages. ``identification`` leaves the text out, so that the
            nearest prompt names the sign language. ``identification_oracle`` writes the prompts of ``retrieval``; the
            search then compares a clip with the prompts of its own text alone, so that the nearest prompt names the
            sign language of a known text. ``conceptualization`` writes the same sign language everywhere, so
            that all clips of a concept are right, whatever their languages.
        tagged: whether prompts follow the pattern; False writes the texts alone.
    Returns:
        One prompt an example, in the order of the examples. An example without a sign language gets its text alone.
    Raises:
        TaskError: an identification is asked for without tags, or of examples without a sign language.
    Source: SignCLIPPretrainMetaProcessor, J22Melody/fairseq@a8199440.
    """
    if task.startswith("identification"):
        _require_languages(examples, tagged=tagged)
    if not tagged:
        return [example.text for example in examples]
    # Spreadthesign has 450,000 examples of 18,000 texts, so each different prompt is written once.
    written: dict[tuple[str, str | None, str | None], str] = {}
    prompts = []
    for example in examples:
        text = "" if task == "identification" else example.text
        sign = CONCEPT_TAG if task == "conceptualization" else example.sign_language
        key = (text, sign, example.spoken_language)
        if key not in written:
            written[key] = _write_prompt(pattern, *key)
        prompts.append(written[key])
    return prompts


def tag_text(text: str, *, spoken: str | None = None, sign: str | None = None) -> str:
    """Write a text behind the tags that are given: `A`, `<ase> A`, `<en> <ase> A`."""
    return " ".join([*(f"<{tag}>" for tag in (spoken, sign) if tag is not None), text])


def _require_languages(examples: Sequence[Example], *, tagged: bool) -> None:
    if not tagged:
        raise TaskError("identification compares prompts made of tags; it cannot run without tags")
    missing = sum(example.sign_language is None for example in examples)
    if missing:
        raise TaskError(f"{missing} of {len(examples)} examples have no sign language to identify")


def _write_prompt(pattern: str, text: str, sign: str | None, spoken: str | None) -> str:
    return text if sign is None else fill_prompt(pattern, text, sign_language=sign, spoken_language=spoken)
