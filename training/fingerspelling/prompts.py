"""Texts for letters, `<en> <ase> A`, the ways users vary them, and the small word-piece vocabulary they need."""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import ConfigDict
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from models.architecture import SignClip
from models.batching import pad
from training.fingerspelling.lexicon import LETTERS, Clip

PAD, UNKNOWN, CLS, SEP = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
UNSEEN_TAG = "zxx"
"""ISO 639-2 for "no linguistic content", so no language's tag: an [UNK], as every language the model never saw."""
_NORMALIZER = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])


def same_letter_key(letter: str) -> str:
    """Spell a letter as the tokenizer does, so that gsg's ä is sgg's Ä but ß is not ss."""
    return str(_NORMALIZER.normalize_str(letter))


def prompt(letter: str, *, sign: str | None = None, spoken: str | None = None) -> str:
    """Write a letter with the tags that are given: `A`, `<ase> A`, `<en> <ase> A`."""
    tags = [f"<{tag}>" for tag in (spoken, sign) if tag is not None]
    return " ".join([*tags, letter])


def build_tokenizer(clips: Iterable[Clip]) -> Tokenizer:
    """Make a word-piece tokenizer that knows the clips' letters and tags whole, and nothing else.

    There are no continuation pieces: a word that is no letter is one [UNK], not a row of letters that were never
    trained to stand in a row. Accents stay, for they are what tells ä from a.
    """
    clips = list(clips)
    letters = {same_letter_key(letter) for letter in (*LETTERS, *(clip.letter for clip in clips))}
    tags = {clip.spoken for clip in clips} | {clip.sign for clip in clips} | {"en"}
    pieces = [PAD, UNKNOWN, CLS, SEP, "<", ">", *sorted(tags), *sorted(letters - tags)]
    tokenizer = Tokenizer(models.WordPiece({piece: row for row, piece in enumerate(pieces)}, unk_token=UNKNOWN))
    tokenizer.normalizer = _NORMALIZER
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write what transformers' AutoTokenizer reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.add_special_tokens([PAD, UNKNOWN, CLS, SEP])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "cls_token": CLS,
        "sep_token": SEP,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def token_batch(tokenizer: Tokenizer, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Turn texts into the model's input.

    Returns:
        input_ids int64 (texts, tokens), [CLS] pieces… [SEP] and padding; attention_mask bool of the same shape.
    """
    cls_id, sep_id = tokenizer.token_to_id(CLS), tokenizer.token_to_id(SEP)
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    input_ids, attention_mask = pad(
        [np.array([cls_id, *encoding.ids, sep_id]) for encoding in encodings], dtype=np.int64
    )
    return torch.from_numpy(input_ids), torch.from_numpy(attention_mask)


def embed_texts(model: SignClip, tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """Embed texts with a model in evaluation mode; float32 (texts, embed_dim), raw vectors."""
    with torch.inference_mode():
        return model.encode_text(*token_batch(tokenizer, texts)).numpy()


@dataclass(frozen=True)
class PromptVariation:
    """How often a training prompt differs from the lexicon's own `<spoken> <sign> letter`; shares in 0-1."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    untagged: float = 0.3
    unknown_sign: float = 0.05
    english: float = 0.2
    other_spoken: float = 0.1
    no_spoken: float = 0.1

    def draw(self, clip: Clip, spoken_tags: list[str], chance: random.Random) -> tuple[str, bool]:
        """Write a clip's prompt as some user might.

        A sign language the model does not know is as good as none. People ask for `<en> <gsg> A` although the lexicon
        pairs gsg with German, so the spoken tag has to be free.

        Returns:
            the text, and whether it names the sign language.
        """
        if chance.random() < self.untagged:
            return prompt(clip.letter), False
        spoken = chance.choices(
            ("en", chance.choice([*spoken_tags, UNSEEN_TAG]), None, clip.spoken),
            (self.english, self.other_spoken, self.no_spoken, 1 - self.english - self.other_spoken - self.no_spoken),
        )[0]
        if chance.random() < self.unknown_sign:
            return prompt(clip.letter, sign=UNSEEN_TAG, spoken=spoken), False
        return prompt(clip.letter, sign=clip.sign, spoken=spoken), True


def letter_ids(clips: list[Clip]) -> np.ndarray:
    """Number the clips' letters, equal numbers for equal letters in any language; int64 (clips,)."""
    return np.unique([same_letter_key(clip.letter) for clip in clips], return_inverse=True)[1]
