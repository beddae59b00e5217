"""The clips of the fingerspelling lexicon, with all that the recipe knows of them: 600 letters in 19 sign languages.

corpora.readers.fingerspelling_lexicon says where the lexicon comes from.
"""

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from corpora.arrays import Float32Array
from corpora.clip_files import read_features
from corpora.errors import FileMissingError
from corpora.readers import fingerspelling_lexicon
from corpora.readers.fingerspelling_lexicon import DUPLICATE, find_installed_folder
from poses import FeatureOptions

FEATURE_KIND = "signclip_depth"
# The width in every clip's header, in pixels. z was stored without the true width, so features are too flat.
STATED_WIDTH = 500
# The widths of the videos behind the clips, in pixels: 1920 for one language, and 700 for all others.
TRUE_WIDTHS = {"sgg": 1920.0}
TYPICAL_WIDTH = 700.0
DEEPER = TYPICAL_WIDTH / STATED_WIDTH
LETTERS = tuple(string.ascii_uppercase)

# The held-out sign languages of each fold. Every language, and so every signer, is held out once.
SPLITS = (
    ("csq", "ukl", "bzs", "eso"),
    ("tsm", "lls", "psr", "ase"),
    ("cse", "svk", "asq", "ise"),
    ("gss", "gsg", "mfs", "swl"),
    ("jos", "ssp", "sgg"),
)
# Draws another partition, which was scored once at the end, after all choices of the recipe had been made.
FINAL_PARTITION_SEED = 2026


@dataclass(frozen=True)
class LetterClip:
    """One fingerspelled letter.

    Attributes:
        path: of the clip's file.
        spoken, sign: tags of the spoken and the sign language, as in `<en> <ase> A`.
        letter: as the lexicon writes it.
        features: float32 (frames, 609).
    """

    path: Path
    spoken: str
    sign: str
    letter: str
    features: Float32Array

    @property
    def is_basic(self) -> bool:
        """Whether the clip shows one of the 26 letters that the protocol scores."""
        return self.letter in LETTERS


def read_lexicon(
    folder: Path | None = None,
    *,
    languages: frozenset[str] | None = None,
    options: FeatureOptions | None = None,
) -> list[LetterClip]:
    """Read all clips except those of the duplicated language, as the service reads a posted clip.

    Args:
        folder: of the lexicon; None: that of the installed package.
        languages: tags of the sign languages to read; None: all.
        options: changes to each pose before features are computed; None: no changes.
    Raises:
        FileMissingError: the package, or a clip of its index, is not there.
        CorpusError: the index or a clip cannot be read.
    """
    corpus = fingerspelling_lexicon.read(folder or find_installed_folder(), "all")
    missing = [note for note in corpus.skipped if not note.id.startswith(f"{DUPLICATE}/")]
    if missing:
        raise FileMissingError(f"{corpus.root}: {len(missing)} clips are missing, such as {missing[0].id}")
    return [
        LetterClip(
            path=example.path,
            spoken=example.spoken_language or "",
            sign=example.sign_language or "",
            letter=example.text,
            features=read_features(example, FEATURE_KIND, options or FeatureOptions()),
        )
        for example in corpus.examples
        if languages is None or example.sign_language in languages
    ]


def draw_final_partition() -> tuple[tuple[str, ...], ...]:
    """Draw the final partition of the languages, into folds of the same sizes as SPLITS."""
    languages = sorted(tag for fold in SPLITS for tag in fold)
    random.Random(FINAL_PARTITION_SEED).shuffle(languages)
    folds, start = [], 0
    for fold in SPLITS:
        folds.append(tuple(languages[start : start + len(fold)]))
        start += len(fold)
    return tuple(folds)


def find_depth_corrections(clips: Sequence[LetterClip]) -> Tensor:
    """Find how many times deeper each clip's video was than its header says: float32 (clips,)."""
    return torch.tensor([TRUE_WIDTHS.get(clip.sign, TYPICAL_WIDTH) / STATED_WIDTH for clip in clips])
