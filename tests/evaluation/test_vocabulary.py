"""Vocabularies: from a table, a list or a data set."""

from pathlib import Path

import pytest

from corpora.examples import Example
from evaluation.errors import VocabularyError
from evaluation.vocabulary import find_common_texts, keep_vocabulary, read_vocabulary


def _example(text, sign):
    return Example(id=text, path=Path(), text=text, label=text, split="test", sign_language=sign, spoken_language="en")


EXAMPLES = [_example("house", "gsg"), _example("house", "fsl"), _example("sun", "fsl")]


def test_vocabulary_of_a_table_leaves_rare_texts_out(tmp_path):
    path = tmp_path / "concepts.csv"
    path.write_text("text,count\nhouse,21\nsun,20\n")
    assert read_vocabulary(path) == {"house"}
    assert read_vocabulary(path, over=5) == {"house", "sun"}
    path.write_text("word,n\nhouse,21\n")
    with pytest.raises(VocabularyError, match="text and count"):
        read_vocabulary(path)
    path.write_text("text,count\nhouse,21\nsun,many\n")
    with pytest.raises(VocabularyError, match=r"concepts\.csv, line 3: the count is not a whole number"):
        read_vocabulary(path)


def test_a_vocabulary_that_is_not_there_says_where_it_comes_from(tmp_path):
    with pytest.raises(VocabularyError, match=r"there is no vocabulary .*python -m corpora fetch vocabulary"):
        read_vocabulary(tmp_path / "data_stat_sp_concept_dis.csv")


def test_vocabulary_of_a_list(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("house\n\n sun \n")
    assert read_vocabulary(path) == {"house", "sun"}


@pytest.mark.parametrize(
    ("name", "text"), [("words.csv", "text,count\nhouse,21\nsun,30\n"), ("words.txt", "house\nsun\n")]
)
def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8-sig")
    assert read_vocabulary(path) == {"house", "sun"}


@pytest.mark.parametrize(("name", "text"), [("words.csv", "text,count\nMüll,21\n"), ("words.txt", "Haus\nMüll\n")])
def test_a_vocabulary_in_another_encoding_says_where_and_what_to_do(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="cp1252")
    with pytest.raises(VocabularyError, match=rf"{name}, line 2: byte 2 .* is not UTF-8; .*iconv"):
        read_vocabulary(path)


def test_vocabulary_of_examples():
    assert find_common_texts(EXAMPLES, over=1) == {"house"}
    assert [example.text for example in keep_vocabulary(EXAMPLES, frozenset({"sun"}))] == ["sun"]
    with pytest.raises(VocabularyError, match="none of 3"):
        keep_vocabulary(EXAMPLES, frozenset({"moon"}))
