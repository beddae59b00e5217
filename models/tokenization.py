"""Texts to BERT word pieces, through Hugging Face's `tokenizers` alone: transformers would bring torch along."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

from models.errors import TokenizerError


class Tokenizer:
    """Word pieces of one BERT vocabulary, without special tokens; safe to share between threads."""

    def __init__(self, fast: FastTokenizer, *, name: str) -> None:
        fast.no_padding()
        fast.no_truncation()
        self._fast = fast
        self.name = name
        # Not the number of pieces: ids may have gaps, and each must be a row of the model's word list.
        self.vocab_size: int = 1 + max(fast.get_vocab().values(), default=-1)
        self.cls_id = self._special("[CLS]")
        self.sep_id = self._special("[SEP]")
        self.unk_id = self._special("[UNK]")  # without it, a text with an unknown word cannot be encoded at all

    def split(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text's word pieces, of any length, without [CLS] and [SEP]."""
        encodings = self._fast.encode_batch([_valid_unicode(text) for text in texts], add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def build_input_ids(self, pieces: Sequence[int], *, max_pieces: int) -> npt.NDArray[np.int32]:
        """Put [CLS] and [SEP] around the first max_pieces pieces: int32 (tokens,).

        Source: MMPT's TextGenerationProcessor cuts to max_len - 3 and its text tower drops one of two [SEP].
        """
        return np.array([self.cls_id, *pieces[:max_pieces], self.sep_id], dtype=np.int32)

    def _special(self, token: str) -> int:
        token_id = self._fast.token_to_id(token)
        if token_id is None:
            raise TokenizerError(f"tokenizer {self.name!r} has no {token}; SignCLIP needs a BERT vocabulary")
        return int(token_id)


def _valid_unicode(text: str) -> str:
    """JSON may carry lone surrogates, which the tokenizer's UTF-8 cannot hold; the replacement mark can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@lru_cache(maxsize=16)
def load_tokenizer(folder: Path, lowercase: bool | None = None) -> Tokenizer:
    """Read a tokenizer as transformers' AutoTokenizer would.

    Args:
        folder: holds `tokenizer.json`, or `vocab.txt` with or without `tokenizer_config.json`.
        lowercase: overrules the folder's own setting; None keeps it.
    Raises:
        TokenizerError: nothing there can be read, or it is no BERT vocabulary.
    """
    settings = _read_json(folder / "tokenizer_config.json")
    lower = bool(settings.get("do_lower_case", True)) if lowercase is None else lowercase
    whole, vocabulary = folder / "tokenizer.json", folder / "vocab.txt"
    try:
        if whole.is_file() and (lowercase is None or not vocabulary.is_file()):
            return Tokenizer(FastTokenizer.from_file(str(whole)), name=folder.name)
        if vocabulary.is_file():
            accents = settings.get("strip_accents")
            chinese = bool(settings.get("tokenize_chinese_chars", True))
            built = BertWordPieceTokenizer(
                str(vocabulary), lowercase=lower, strip_accents=accents, handle_chinese_chars=chinese
            )
            return Tokenizer(FastTokenizer.from_str(built.to_str()), name=folder.name)
    except TokenizerError:
        raise
    except Exception as error:  # `tokenizers` raises bare Exception for whatever it cannot read
        raise TokenizerError(f"{folder} holds no readable tokenizer: {error}") from error
    raise TokenizerError(f"{folder} holds neither tokenizer.json nor vocab.txt")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TokenizerError(f"{path} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}
