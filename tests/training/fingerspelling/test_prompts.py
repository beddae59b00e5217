"""Prompts and the small vocabulary they need."""

import random
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from training.fingerspelling.lexicon import LetterClip
from training.fingerspelling.prompts import (
    build_tokenizer,
    draw_prompt,
    normalize_letter,
    number_letters,
    save_tokenizer,
)
from training.sections.hands import PromptVariation

NO_FRAMES = np.zeros((1, 609), dtype=np.float32)
CLIPS = [
    LetterClip(Path(), spoken, sign, letter, NO_FRAMES)
    for spoken, sign, letter in [("de", "gsg", "ä"), ("de", "sgg", "A\u0308"), ("it", "ise", "ss"), ("de", "gsg", "ß")]
]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(CLIPS)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("<de> <gsg> Ä", ["<", "de", ">", "<", "gsg", ">", "ä"]),
        ("<it><ise>SS", ["<", "it", ">", "<", "ise", ">", "ss"]),
        ("a\u0308", ["ä"]),
        ("<xx> B", ["<", "[UNK]", ">", "b"]),
        ("house", ["[UNK]"]),
        ("", []),
    ],
)
def test_pieces(tokenizer, text, tokens):
    assert tokenizer.encode(text, add_special_tokens=False).tokens == tokens


def test_sharp_s_is_not_double_s():
    assert normalize_letter("ẞ") == normalize_letter("ß") != normalize_letter("ss")
    numbers = number_letters(CLIPS)
    assert numbers[0] == numbers[1]
    assert numbers[2] != numbers[3]


def test_transformers_reads_the_saved_tokenizer(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    save_tokenizer(tokenizer, tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path)
    assert read.tokenize("<de> <gsg> Ä") == ["<", "de", ">", "<", "gsg", ">", "ä"]
    assert (read.pad_token, read.unk_token, read.cls_token, read.sep_token) == ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def test_variation_names_the_sign_language_or_none_that_is_known():
    rng = random.Random(0)
    drawn = [draw_prompt(CLIPS[0], PromptVariation(), spoken_tags=["de", "it"], rng=rng) for _ in range(3000)]
    spoken = ["<de> ", "<en> ", "<it> ", "<zxx> ", ""]
    assert {text for text, named in drawn if named} == {f"{tag}<gsg> ä" for tag in spoken}
    assert {text for text, named in drawn if not named} <= {"ä", *(f"{tag}<zxx> ä" for tag in spoken)}
    assert sum(text == "ä" for text, _ in drawn) == pytest.approx(900, abs=100)


def test_shares_of_spoken_languages_fit_into_one():
    with pytest.raises(ValidationError, match=r"add up to 1\.2"):
        PromptVariation(english=0.8, other_spoken=0.2, no_spoken=0.2)
