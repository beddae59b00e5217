from __future__ import annotations

import pytest

from models.catalog import load_catalog
from models.errors import UnknownLanguageError
from models.languages import read_languages

CATALOG = load_catalog()


def test_the_table_holds_the_pretraining_languages():
    table = read_languages()
    assert table["ase"].name == "American Sign Language"
    assert set(CATALOG["default"].sign_languages or ()) <= set(table)
    assert all(language.tag == tag for tag, language in table.items())
    assert len(table) == len(list(table))


def test_tags_names_and_aliases_name_one_language_each():
    words: dict[str, str] = {}
    for language in read_languages().values():
        for word in (language.tag, language.name, *language.aliases):
            assert words.setdefault(word.casefold(), language.tag) == language.tag, word
            assert read_languages().resolve(word) is language


@pytest.mark.parametrize("word", ["ase", "ASL", " asl ", "american sign language", "AMERICAN SIGN LANGUAGE"])
def test_case_and_space_do_not_matter(word):
    assert read_languages().resolve(word).tag == "ase"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("asll", "no sign language 'asll'. GET"),  # several languages share the letters of an abbreviation
        ("ISL", r"'ins' \(Indian Sign Language\), Irish \(isg\) or Israeli \(isr\)"),
        ("Korean", r"Korean Sign Language \(kvk\), which no model here knows"),
        ("Italian", r"may mean 'ise' \(Italian Sign Language\)"),
        ("english", "english is a spoken language; it may mean 'ase'"),
        ("German Sing Language", r"'German Sign Language' \(gsg\)"),
        ("", "no sign language ''"),
        ("<ase>", "no sign language"),
    ],
)
def test_other_words_are_refused_with_the_nearest(word, message):
    with pytest.raises(UnknownLanguageError, match=message):
        read_languages().resolve(word)
