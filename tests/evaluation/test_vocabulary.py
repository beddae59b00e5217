"""Prompts of the three tasks, and vocabularies."""

from pathlib import Path

import pytest

from corpora.examples import Example
from evaluation.vocabulary import (
    common_texts,
    read_vocabulary,
    within_vocabulary,
    write_prompts,
)
from models.catalog import load_catalog

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
        ("conceptualization", True, ["<en> <ase> house", "<en> <ase> house", "<en> <ase> sun"]),
    ],
)
def test_prompts_of_each_task(task, tagged, expected):
    assert write_prompts(CATALOG["default"], EXAMPLES, task=task, tagged=tagged) == expected


def test_prompts_follow_the_models_pattern():
    prompts = write_prompts(CATALOG["fingerclip"], [_example("A")], task="retrieval")
    assert prompts == ["Fingerspell the letter A in German Sign Language."]


def test_examples_without_a_language_and_with_one_of_their_own():
    examples = [_example("a", None), _example("a", "own-tag")]
    assert write_prompts(CATALOG["default"], examples, task="retrieval") == ["a", "<en> <own-tag> a"]
    with pytest.raises(ValueError, match="1 of 2 examples have no sign language"):
        write_prompts(CATALOG["default"], examples, task="identification")
    with pytest.raises(ValueError, match="tags"):
        write_prompts(CATALOG["default"], EXAMPLES, task="identification", tagged=False)


def test_vocabulary_of_a_table_leaves_rare_texts_out(tmp_path):
    path = tmp_path / "concepts.csv"
    path.write_text("text,count\nhouse,21\nsun,20\n")
    assert read_vocabulary(path) == {"house"}
    assert read_vocabulary(path, over=5) == {"house", "sun"}
    path.write_text("word,n\nhouse,21\n")
    with pytest.raises(ValueError, match="text and count"):
        read_vocabulary(path)


def test_vocabulary_of_a_list(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("house\n\n sun \n")
    assert read_vocabulary(path) == {"house", "sun"}


def test_vocabulary_of_examples():
    assert common_texts(EXAMPLES, over=1) == {"house"}
    assert [example.text for example in within_vocabulary(EXAMPLES, frozenset({"sun"}))] == ["sun"]
    with pytest.raises(ValueError, match="none of 3"):
        within_vocabulary(EXAMPLES, frozenset({"moon"}))
