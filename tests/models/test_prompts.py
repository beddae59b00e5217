from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalog import load_catalog
from models.errors import UnknownLanguageError
from models.prompts import build_prompt

CATALOG = load_catalog()


@pytest.mark.parametrize(
    ("model", "arguments", "prompt", "warnings"),
    [
        ("default", {}, "house", 0),
        ("default", {"sign_language": "asl"}, "<en> <ase> house", 0),
        ("default", {"sign_language": "German Sign Language", "spoken_language": "en"}, "<en> <gsg> house", 0),
        ("default", {"sign_language": "ase", "spoken_language": " DE "}, "<de> <ase> house", 1),
        ("fingerspelling", {"sign_language": "ise", "spoken_language": "it"}, "<it> <ise> house", 0),
        ("fingerclip", {"sign_language": "gsg"}, "Fingerspell the letter house in German Sign Language.", 0),
        (
            "fingerclip",
            {"sign_language": "ase", "spoken_language": "fr"},
            "Fingerspell the letter house in American Sign Language.",
            2,
        ),
    ],
)
def test_prompts_are_those_of_training(model, arguments, prompt, warnings):
    built = build_prompt(CATALOG[model], "house", **arguments)
    assert built.text == prompt
    assert len(built.warnings) == warnings
    assert all(repr(model) in warning for warning in built.warnings)


def test_a_warning_names_the_tag():
    (warning,) = build_prompt(CATALOG["default"], "house", sign_language="ase", spoken_language="de").warnings
    assert "spoken language tag <de>" in warning


def test_a_model_that_records_no_languages_warns_of_none(tiny_model):
    config = tiny_model.config.model_copy(update={"sign_languages": None, "spoken_languages": None})
    assert build_prompt(config, "house", sign_language="ils", spoken_language="xx").warnings == ()


@pytest.mark.parametrize("spoken", ["", "e", "en>", "<en>", "en de", "e\nn", "english!", "a" * 9, "é"])
def test_what_is_no_language_tag_never_enters_a_prompt(spoken):
    with pytest.raises(UnknownLanguageError, match="not a language tag"):
        build_prompt(CATALOG["default"], "house", sign_language="ase", spoken_language=spoken)


def test_a_spoken_language_alone_is_refused():
    with pytest.raises(UnknownLanguageError, match="needs a sign_language"):
        build_prompt(CATALOG["default"], "house", spoken_language="en")


@given(st.text())
def test_texts_enter_prompts_as_they_are(text):
    """Braces are no fields and tags no tags: the text is data."""
    assert build_prompt(CATALOG["default"], text, sign_language="ase").text == f"<en> <ase> {text}"
