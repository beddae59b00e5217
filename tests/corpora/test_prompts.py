"""Prompts of all tasks: one writer for data sets, training and evaluation."""

from pathlib import Path

import pytest

from corpora import Example, TaskError, write_prompts
from corpora.prompts import tag_text
from models.catalog import TAGGED_PROMPT, load_catalog
from models.prompts import build_prompt

CATALOG = load_catalog()


def _example(text, sign="gsg", spoken="en"):
    return Example(
        id=text, path=Path(), text=text, label=text, split="test", sign_language=sign, spoken_language=spoken
    )


EXAMPLES = [_example("house"), _example("house", "fsl"), _example("sun", "fsl", None)]


@pytest.mark.parametrize(
    ("task", "tagged", "expected"),
    [
        ("retrieval", True, ["<en> <gsg> house", "<en> <fsl> house", "<en> <fsl> sun"]),
        ("retrieval", False, ["house", "house", "sun"]),
        ("identification", True, ["<en> <gsg> ", "<en> <fsl> ", "<en> <fsl> "]),
        ("identification_oracle", True, ["<en> <gsg> house", "<en> <fsl> house", "<en> <fsl> sun"]),
        ("conceptualization", True, ["<en> <ase> house", "<en> <ase> house", "<en> <ase> sun"]),
    ],
)
def test_prompts_of_each_task(task, tagged, expected):
    assert write_prompts(TAGGED_PROMPT, EXAMPLES, task=task, tagged=tagged) == expected


def test_prompts_follow_the_pattern():
    prompts = write_prompts(CATALOG["fingerclip"].prompt, [_example("A")])
    assert prompts == ["Fingerspell the letter A in German Sign Language."]


def test_a_data_sets_prompts_are_those_of_the_service():
    for example in EXAMPLES:
        served = build_prompt(
            CATALOG["default"],
            example.text,
            sign_language=example.sign_language,
            spoken_language=example.spoken_language,
        )
        assert write_prompts(CATALOG["default"].prompt, [example]) == [served.text]


def test_examples_without_a_language_and_with_one_of_their_own():
    examples = [_example("a", None), _example("a", "own-tag")]
    assert write_prompts(TAGGED_PROMPT, examples) == ["a", "<en> <own-tag> a"]
    assert write_prompts("Sign {text} in {language}.", [_example("a", "own-tag", "x_y")]) == ["Sign a in own-tag."]
    with pytest.raises(TaskError, match="1 of 2 examples have no sign language"):
        write_prompts(TAGGED_PROMPT, examples, task="identification")
    with pytest.raises(TaskError, match="1 of 2 examples have no sign language"):
        write_prompts(TAGGED_PROMPT, examples, task="identification_oracle")
    with pytest.raises(TaskError, match="tags"):
        write_prompts(TAGGED_PROMPT, EXAMPLES, task="identification", tagged=False)


def test_tags_are_those_that_are_given():
    assert tag_text("A") == "A"
    assert tag_text("A", sign="ase") == "<ase> A"
    assert tag_text("A", sign="ase", spoken="en") == "<en> <ase> A"
