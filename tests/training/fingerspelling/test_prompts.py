"""Prompts and the small vocabulary they need."""

import random

import numpy as np
import pytest

from training.fingerspelling.lexicon import Clip
from training.fingerspelling.prompts import (
    PromptVariation,
    build_tokenizer,
    letter_ids,
    prompt,
    same_letter_key,
    save_tokenizer,
)

NO_FRAMES = np.zeros((1, 609), dtype=np.float32)
CLIPS = [
    Clip("", spoken, sign, letter, NO_FRAMES)
    for spoken, sign, letter in [("de", "gsg", "ä"), ("de", "sgg", "A\u0308"), ("it", "ise", "ss"), ("de", "gsg", "ß")]
]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(CLIPS)


def test_prompt():
    assert prompt("A") == "A"
    assert prompt("A", sign="ase", spoken="en") == "<en> <ase> A"


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
    assert same_letter_key("ẞ") == same_letter_key("ß") != same_letter_key("ss")
    numbers = letter_ids(CLIPS)
    assert numbers[0] == numbers[1]
    assert numbers[2] != numbers[3]


def test_transformers_reads_the_saved_tokenizer(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    save_tokenizer(tokenizer, tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path)
    assert read.tokenize("<de> <gsg> Ä") == ["<", "de", ">", "<", "gsg", ">", "ä"]
    assert (read.pad_token, read.unk_token, read.cls_token, read.sep_token) == ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def test_variation_names_the_sign_language_or_none_that_is_known():
    chance = random.Random(0)
    drawn = [PromptVariation().draw(CLIPS[0], ["de", "it"], chance) for _ in range(3000)]
    spoken = ["<de> ", "<en> ", "<it> ", "<zxx> ", ""]
    assert {text for text, named in drawn if named} == {f"{tag}<gsg> ä" for tag in spoken}
    assert {text for text, named in drawn if not named} <= {"ä", *(f"{tag}<zxx> ä" for tag in spoken)}
    assert sum(text == "ä" for text, _ in drawn) == pytest.approx(900, abs=100)
