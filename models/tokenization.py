"""From texts to BERT word pieces. Only Hugging Face's `tokenizers` is used, because transformers would import torch."""

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
from processes.os_errors import describe_reason

# In the order of transformers' clean_up_tokenization, where one replacement sees what the one before it left.
_GAPS = (
    *((f" {mark}", mark) for mark in ".?!,"),
    (" ' ", "'"),
    *((f" {ending}", ending) for ending in ("n't", "'m", "'s", "'ve", "'re")),
)


class Tokenizer:
    """Splits texts into the word pieces of one BERT vocabulary. Threads may share it.

    Args:
        fast: the tokenizer that does the work.
        name: of the tokenizer, for messages.
    Attributes:
        vocab_size: rows that a model's word list needs.
        cls_id, sep_id, unk_id: of [CLS], [SEP] and [UNK].
    Raises:
        TokenizerError: the vocabulary lacks one of these three tokens.
    """

    def __init__(self, fast: FastTokenizer, *, name: str) -> None:
        fast.no_padding()
        fast.no_truncation()
        self._fast = fast
        self.name = name
        # More than the number of pieces where ids have gaps, because every id is a row of the model's word list.
        self.vocab_size: int = 1 + max(fast.get_vocab().values(), default=-1)
        self.cls_id = self._find_special("[CLS]")
        self.sep_id = self._find_special("[SEP]")
        self.unk_id = self._find_special("[UNK]")  # without it, a text with an unknown word cannot be encoded

    def split(self, texts: Sequence[str]) -> list[list[int]]:
        """Split texts of any length into word pieces; returns the ids of each text, without [CLS] and [SEP]."""
        # "Fast" leaves out where each piece was in its text, which nobody asks here, and takes a quarter less time.
        prepared = [_replace_surrogates(text) for text in texts]
        encodings = self._fast.encode_batch_fast(prepared, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def build_input_ids(self, pieces: Sequence[int], *, max_pieces: int) -> npt.NDArray[np.int32]:
        """Put [CLS] and [SEP] around the first max_pieces pieces: int32 (tokens,).

        Source: MMPT's TextGenerationProcessor cuts to max_len - 3 and its text tower drops one of two [SEP].
        """
        return np.array([self.cls_id, *pieces[:max_pieces], self.sep_id], dtype=np.int32)

    def decode(self, texts: Sequence[str], *, max_pieces: int) -> list[str]:
        """Write texts as the pieces that a model sees of them: cut, and without the words that the vocabulary lacks.

        Args:
            texts: of any lengths.
            max_pieces: word pieces after these are cut.
        Source: transformers' `decode(skip_special_tokens=True)`, with which MMPT's RetrievalPredictor labels clips.
        """
        decoded = self._fast.decode_batch([pieces[:max_pieces] for pieces in self.split(texts)])
        return [_join_marks(text) for text in decoded]

    def _find_special(self, token: str) -> int:
        token_id = self._fast.token_to_id(token)
        if token_id is None:
            raise TokenizerError(f"tokenizer {self.name!r} has no {token}; SignCLIP needs a BERT vocabulary")
        return int(token_id)


def _join_marks(text: str) -> str:
    """Close the gaps before marks and after apostrophes, as transformers' clean_up_tokenization does."""
    for apart, joined in _GAPS:
        text = text.replace(apart, joined)
    return text


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which JSON may hold and UTF-8 cannot, by the replacement character."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@lru_cache(maxsize=16)
def load_tokenizer(folder: Path, lowercase: bool | None = None) -> Tokenizer:
    """Read a tokenizer as transformers' AutoTokenizer would.

    Args:
        folder: holds `tokenizer.json`, or `vocab.txt` with or without `tokenizer_config.json`.
        lowercase: replaces the folder's own setting; None keeps that setting.
    Raises:
        TokenizerError: the folder holds no readable tokenizer, or no BERT vocabulary.
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
    except Exception as error:  # `tokenizers` raises plain Exception for every file that it cannot read
        raise TokenizerError(f"{folder} holds no readable tokenizer: {error}") from error
    raise TokenizerError(f"{folder} holds neither tokenizer.json nor vocab.txt")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # the last for lists nested thousands deep
        raise TokenizerError(f"{path} cannot be read: {describe_reason(error)}") from error
    return content if isinstance(content, dict) else {}
