"""The fingerspelling lexicon of spoken-to-signed: 600 letters in the alphabets of 20 sign languages, one signer each.

Source: PyPI package spoken-to-signed 0.4.0 (MIT), spoken_to_signed/assets/fingerspelling_lexicon.
"""

import csv
import random
import string
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from poses import FeatureOptions, extract, read

PACKAGE = "spoken_to_signed"
FEATURE_KIND = "signclip_depth"
DUPLICATE = "fsl"
"""A byte copy of `ase` under another tag: as training data it would teach a lie, as test data it would leak."""
STATED_WIDTH = 500
"""Width in every clip's header, in pixels; z was stored without it, so features come out too flat."""
TRUE_WIDTHS = {"sgg": 1920.0}
TYPICAL_WIDTH = 700.0
"""Widths of the videos behind the clips, in pixels; 700 for all but one.."""
LETTERS = tuple(string.ascii_uppercase)

SPLITS = (
    ("csq", "ukl", "bzs", "eso"),
    ("tsm", "lls", "psr", "ase"),
    ("cse", "svk", "asq", "ise"),
    ("gss", "gsg", "mfs", "swl"),
    ("jos", "ssp", "sgg"),
)
"""Held-out sign languages of each fold; every language, and so every signer, is held out once."""
FINAL_PARTITION_SEED = 2026
"""Draws the partition that no choice was made on; scored once, when everything else stood."""


@dataclass(frozen=True)
class Clip:
    """One fingerspelled letter.

    Attributes:
        path: file in the lexicon's folder.
        spoken, sign: language tags, as in `<en> <ase> A`.
        letter: as the lexicon writes it.
        features: float32 (frames, 609).
    """

    path: str
    spoken: str
    sign: str
    letter: str
    features: np.ndarray

    @property
    def is_basic(self) -> bool:
        """Whether it shows one of the 26 letters that the protocol scores."""
        return self.letter in LETTERS


def lexicon_folder() -> Path:
    """Find the lexicon without importing its package, which needs a lemmatizer.

    Raises:
        ModuleNotFoundError: spoken-to-signed is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the fingerspelling lexicon comes with `pip install spoken-to-signed==0.4.0`")
    return Path(spec.origin).parent / "assets" / "fingerspelling_lexicon"


def read_lexicon(
    folder: Path | None = None,
    *,
    languages: frozenset[str] | None = None,
    options: FeatureOptions | None = None,
) -> list[Clip]:
    """Read all clips but the duplicated language, as the service reads what is posted to it.

    Args:
        folder: holds index.csv and one folder a sign language; the installed package's by default.
        languages: sign-language tags to read; all by default.
        options: what to do to every pose first; nothing by default.
    """
    folder = folder or lexicon_folder()
    options = options or FeatureOptions()
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["signed_language"] != DUPLICATE]
    return [
        Clip(
            path=row["path"],
            spoken=row["spoken_language"],
            sign=row["signed_language"],
            letter=row["words"],
            features=extract(read((folder / row["path"]).read_bytes()), FEATURE_KIND, options),
        )
        for row in rows
        if languages is None or row["signed_language"] in languages
    ]


def final_partition(sizes: tuple[int, ...] = tuple(len(split) for split in SPLITS)) -> tuple[tuple[str, ...], ...]:
    """Draw the other partition of the same languages into folds of the same sizes."""
    languages = sorted(tag for split in SPLITS for tag in split)
    random.Random(FINAL_PARTITION_SEED).shuffle(languages)
    ends = [sum(sizes[: fold + 1]) for fold in range(len(sizes))]
    return tuple(tuple(languages[end - size : end]) for size, end in zip(sizes, ends, strict=True))


def depth_corrections(clips: list[Clip]) -> Tensor:
    """Tell how many times deeper each clip's video was than its header says; float32 (clips,)."""
    return torch.tensor([TRUE_WIDTHS.get(clip.sign, TYPICAL_WIDTH) / STATED_WIDTH for clip in clips])
