"""Prompts of letters as users vary them, `<en> <ase> A`, and the small word-piece vocabulary that they need."""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from corpora.arrays import Float32Array, Int64Array
from corpora.prompts import tag_text
from models.architecture import SignClip
from models.batching import pad
from training.fingerspelling.lexicon import LETTERS, LetterClip
from training.sections.hands import PromptVariation

PAD, UNKNOWN, CLS, SEP = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
# ISO 639-2 for "no linguistic content", so the tag of no language. It is an [UNK], as every language that the model
# never saw.
UNSEEN_TAG = "zxx"
_NORMALIZER = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])


def normalize_letter(letter: str) -> str:
    """Spell a letter as the tokenizer does, so that ä of gsg equals Ä of sgg, but ß does not equal ss."""
    return str(_NORMALIZER.normalize_str(letter))


def build_tokenizer(clips: Iterable[LetterClip]) -> Tokenizer:
    """Build a word-piece tokenizer that knows the letters and tags of the clips as whole words, and nothing else.

    There are no continuation pieces, so a word that is not a letter becomes one [UNK] instead of a row of letters,
    which was never trained. Accents are kept, because they distinguish ä from a.
    """
    clips = list(clips)
    letters = {normalize_letter(letter) for letter in (*LETTERS, *(clip.letter for clip in clips))}
    tags = {clip.spoken for clip in clips} | {clip.sign for clip in clips} | {"en"}
    pieces = [PAD, UNKNOWN, CLS, SEP, "<", ">", *sorted(tags), *sorted(letters - tags)]
    tokenizer = Tokenizer(models.WordPiece({piece: row for row, piece in enumerate(pieces)}, unk_token=UNKNOWN))
    tokenizer.normalizer = _NORMALIZER
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def find_special_ids(tokenizer: Tokenizer) -> tuple[int, int]:
    """Find the ids of [CLS] and [SEP] in a tokenizer of build_tokenizer."""
    vocabulary = tokenizer.get_vocab()
    return vocabulary[CLS], vocabulary[SEP]


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a tokenizer in the form that AutoTokenizer of transformers reads.

    Raises:
        OSError: the folder cannot be written.
    """
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


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Turn texts into the model's input.

    Returns:
        input_ids int64 (texts, tokens), [CLS] pieces… [SEP] and padding; attention_mask bool (texts, tokens).
    """
    cls_id, sep_id = find_special_ids(tokenizer)
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    input_ids, attention_mask = pad(
        [np.array([cls_id, *encoding.ids, sep_id]) for encoding in encodings], dtype=np.int64
    )
    return torch.from_numpy(input_ids), torch.from_numpy(attention_mask)


def embed_texts(model: SignClip, tokenizer: Tokenizer, texts: Sequence[str]) -> Float32Array:
    """Embed texts.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        texts: prompts.
    Returns:
        float32 (texts, embed_dim), raw.
    """
    with torch.inference_mode():
        vectors: Float32Array = model.encode_text(*tokenize(tokenizer, texts)).numpy()
    return vectors


def draw_prompt(
    clip: LetterClip, variation: PromptVariation, *, spoken_tags: Sequence[str], rng: random.Random
) -> tuple[str, bool]:
    """Write a clip's prompt as some user might write it.

    The tag of a sign language that the model does not know counts as no tag. Users ask for `<en> <gsg> A` although the
    lexicon pairs gsg with German, so the spoken language has to vary.

    Args:
        clip: its letter and languages.
        variation: how often prompts differ from the lexicon's own.
        spoken_tags: tags of the spoken languages that the model knows.
        rng: the source of all random numbers.
    Returns:
        The prompt, and whether it names the sign language.
    """
    if rng.random() < variation.untagged:
        return tag_text(clip.letter), False
    own = 1 - variation.english - variation.other_spoken - variation.no_spoken
    spoken = rng.choices(
        ("en", rng.choice([*spoken_tags, UNSEEN_TAG]), None, clip.spoken),
        (variation.english, variation.other_spoken, variation.no_spoken, own),
    )[0]
    if rng.random() < variation.unknown_sign:
        return tag_text(clip.letter, sign=UNSEEN_TAG, spoken=spoken), False
    return tag_text(clip.letter, sign=clip.sign, spoken=spoken), True


def number_letters(clips: Sequence[LetterClip]) -> Int64Array:
    """Number the letters of clips: int64 (clips,), equal for equal letters of all languages."""
    return np.unique([normalize_letter(clip.letter) for clip in clips], return_inverse=True)[1]
