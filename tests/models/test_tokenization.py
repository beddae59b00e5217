from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from models.errors import TokenizerError
from models.tokenization import Tokenizer, load_tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizer"
ROOT = Path(__file__).parents[2]
TEXTS = [
    "",
    " ",
    "house",
    "HOUSE",
    "<en> <ase> house",
    "<de> <sgg> In Baar gibt es eine Höhle.",
    "how are you?",
    "don't",
    "naïve café Ünal",
    "手話は言語です",
    "русский жестовый язык",
    "لغة الإشارة",
    "👩🏽‍🦱 👍",
    "tab\tnew\nline\r\x00\x07",
    "e\u0301 o\u0308",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "##house",
    "x" * 300,
    " \u00a0\u2003 ",
    "\ufffd\u200b\ufeff",
]


@functools.cache
def reference(folder: Path) -> AutoTokenizer:
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The golden word list in every layout a folder may have."""
    root = tmp_path_factory.mktemp("tokenizers")
    kinds: dict[str, dict[str, object] | None] = {
        "cased": {"do_lower_case": False, "tokenizer_class": "BertTokenizer"},
        "uncased": {"do_lower_case": True, "tokenizer_class": "BertTokenizer"},
        "accents kept": {"do_lower_case": True, "strip_accents": False, "tokenizer_class": "BertTokenizer"},
        "one word in Chinese": {
            "do_lower_case": False,
            "tokenize_chinese_chars": False,
            "tokenizer_class": "BertTokenizer",
        },
        "words only": None,
    }
    folders = {}
    for name, configuration in kinds.items():
        folders[name] = root / name
        folders[name].mkdir()
        shutil.copy(GOLDEN / "vocab.txt", folders[name])
        if configuration is not None:
            (folders[name] / "tokenizer_config.json").write_text(json.dumps(configuration))
    whole = root / "whole"
    AutoTokenizer.from_pretrained(folders["cased"]).save_pretrained(whole)
    (whole / "vocab.txt").unlink(missing_ok=True)
    assert (whole / "tokenizer.json").is_file()
    return {**folders, "whole": whole}


LAYOUTS = ["cased", "uncased", "accents kept", "one word in Chinese", "whole"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pieces_equal_those_of_transformers(folders, layout):
    wanted = reference(folders[layout])(TEXTS, add_special_tokens=False)["input_ids"]
    assert load_tokenizer(folders[layout]).split(TEXTS) == wanted


@pytest.mark.parametrize("layout", ["cased", "uncased", "whole"])
@settings(max_examples=200)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_pieces_of_any_text_equal_those_of_transformers(folders, layout, texts):
    assert (
        load_tokenizer(folders[layout]).split(texts)
        == reference(folders[layout])(texts, add_special_tokens=False)["input_ids"]
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_decoded_texts_equal_those_of_transformers(folders, layout):
    texts = [*TEXTS, "house 👍", "it 's I 'm don 't , yes .", "they've we 're !", "House," * 40]
    transformers = reference(folders[layout])
    wanted = [
        transformers.decode(
            transformers(text, add_special_tokens=False)["input_ids"][:61],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=True,
        )
        for text in texts
    ]
    assert load_tokenizer(folders[layout]).decode(texts, max_pieces=61) == wanted


def test_unknown_words_vanish_from_decoded_texts():
    first, second, third = load_tokenizer(GOLDEN).decode(["house 👍", "house", "houses"], max_pieces=61)
    assert first == second == "house" != third


def test_a_word_list_alone_is_lower_cased_as_in_bert_base_uncased(folders):
    alone, uncased = load_tokenizer(folders["words only"]), load_tokenizer(folders["uncased"])
    assert alone.split(TEXTS) == uncased.split(TEXTS)


def test_lower_casing_can_be_overruled(folders):
    cased, uncased = load_tokenizer(folders["cased"]), load_tokenizer(folders["uncased"])
    assert cased.split(["HOUSE"]) != uncased.split(["HOUSE"])
    assert load_tokenizer(folders["cased"], True).split(TEXTS) == uncased.split(TEXTS)
    assert load_tokenizer(folders["uncased"], False).split(TEXTS) == cased.split(TEXTS)


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b", "\udc00\ud83d", "\ud83d\ud83d\ude00"])
def test_lone_surrogates_are_read_as_the_replacement_mark(text):
    tokenizer = load_tokenizer(GOLDEN)
    repaired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert tokenizer.split([text, "house"]) == tokenizer.split([repaired, "house"])


def test_long_texts_are_not_cut_and_short_ones_not_padded():
    pieces = load_tokenizer(GOLDEN).split(["house " * 1000, "house"])
    assert [len(ids) for ids in pieces] == [1000, 1]


def test_input_ids_are_cls_pieces_sep():
    tokenizer = load_tokenizer(GOLDEN)
    assert (tokenizer.cls_id, tokenizer.sep_id) == (101, 102)
    assert tokenizer.build_input_ids([7, 8, 9], max_pieces=61).tolist() == [101, 7, 8, 9, 102]
    assert tokenizer.build_input_ids([7, 8, 9], max_pieces=2).tolist() == [101, 7, 8, 102]
    assert tokenizer.build_input_ids([], max_pieces=2).tolist() == [101, 102]
    assert tokenizer.vocab_size == 30522


def test_threads_may_share_a_tokenizer():
    tokenizer = load_tokenizer(GOLDEN)
    alone = tokenizer.split(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        assert all(pieces == alone for pieces in pool.map(lambda _: tokenizer.split(TEXTS), range(64)))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "neither tokenizer.json nor vocab.txt"),
        ({"tokenizer_config.json": "{}"}, "neither tokenizer.json nor vocab.txt"),
        ({"tokenizer.json": "<html>"}, "no readable tokenizer"),
        ({"tokenizer.json": "{}"}, "no readable tokenizer"),
        ({"vocab.txt": "a\nb\n"}, "sep_token not found"),
        ({"vocab.txt": "[UNK]\n[PAD]\na\n"}, "sep_token not found"),
        ({"vocab.txt": "[PAD]\n[CLS]\n[SEP]\nhouse\n"}, r"has no \[UNK\]"),
        ({"vocab.txt": "[UNK]\n[CLS]\n[SEP]\n", "tokenizer_config.json": "{"}, "tokenizer_config.json cannot be read"),
        ({"vocab.txt": "x", "tokenizer_config.json": "[" * 200_000}, "tokenizer_config.json cannot be read"),
    ],
)
def test_a_folder_without_a_bert_tokenizer_is_refused(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(TokenizerError, match=message):
        load_tokenizer(tmp_path)


def test_the_vocabulary_reaches_to_the_largest_id(tmp_path):
    """A word that stands twice leaves a gap; an id past the model's word list would be an index error later."""
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\nsun\nsun\nhouse\n")
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.split(["house"]) == [[5]]
    assert tokenizer.vocab_size == 6


def test_a_word_list_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n[CLS]\n[SEP]\n\xff\xfe\n")
    with pytest.raises(TokenizerError, match="no readable tokenizer"):
        load_tokenizer(tmp_path)


def test_tokenizing_needs_neither_torch_nor_transformers():
    """Web workers tokenize, and stay light."""
    program = (
        "import sys; from pathlib import Path; from models.tokenization import load_tokenizer; "
        f"load_tokenizer(Path({str(GOLDEN)!r})).split(['house']); "
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.strip() == "[]"


def test_a_tokenizer_is_read_once():
    assert load_tokenizer(GOLDEN) is load_tokenizer(GOLDEN)
    assert isinstance(load_tokenizer(GOLDEN), Tokenizer)
