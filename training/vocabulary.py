"""A tokenizer made of a run's own texts, for a start that downloads nothing."""

from __future__ import annotations

import json
import string
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, normalizers, pre_tokenizers

from models.tokenization import Tokenizer, load_tokenizer
from processes.files import write_file

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
# Letters that every vocabulary has, so that a word that training never saw is spelled and is not [UNK].
ALPHABET = string.ascii_letters + string.digits + string.punctuation


def make_tokenizer(texts: Iterable[str], folder: Path, *, size: int) -> Tokenizer:
    """Make a word-piece tokenizer that knows the most frequent words of texts and spells all others.

    The trainers of Hugging Face's tokenizers number equally frequent pieces by chance; no run could be repeated.
    Here the same texts give the same tokenizer.

    Args:
        texts: such as the prompts of a run.
        folder: gets the tokenizer's files.
        size: the most word pieces. Special pieces and letters come first, even where they are more.
    Returns:
        The tokenizer, which keeps case and accents.
    Raises:
        OSError: the folder cannot be written.
    """
    split, normalizer = pre_tokenizers.BertPreTokenizer(), normalizers.NFC()
    words: Counter[str] = Counter()
    for text in texts:
        words.update(word for word, _ in split.pre_tokenize_str(normalizer.normalize_str(text)) if word not in SPECIAL)
    letters = sorted({*ALPHABET, *(letter for word in words for letter in word)})
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    frequent = sorted(words.keys() - set(letters), key=lambda word: (-words[word], word))
    pieces += frequent[: max(size - len(pieces), 0)]
    made = FastTokenizer(models.WordPiece({piece: row for row, piece in enumerate(pieces)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizer, split
    made.add_special_tokens(list(SPECIAL))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    settings |= {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    write_file(folder / "tokenizer_config.json", json.dumps(settings, indent=2) + "\n")
    write_file(folder / "tokenizer.json", made.to_str(pretty=True))
    return load_tokenizer(folder)
