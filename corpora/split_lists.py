"""The authors' lists of clips against what this project draws: `python -m corpora compare NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from corpora.examples import SPLITS
from corpora.readers import asl_signs, rwth_fingerspelling
from corpora.readers.tables import draw_split, read_csv, read_list

# The list of all clips, in the order that the authors shuffled.
ALL = "all.txt"
HELD_OUT: Mapping[str, float] = MappingProxyType(
    {"asl_signs": asl_signs.HELD_OUT, "rwth_fingerspelling": rwth_fingerspelling.HELD_OUT}
)
"""Data sets whose lists were drawn at random, and the share of clips in each of validation and test."""


@dataclass(frozen=True)
class Comparison:
    """A list of the authors, and what this project has in its place.

    Attributes:
        what: was compared.
        count: of the authors' entries.
        first_difference: the number of the first entry that differs, from 1; None: all are equal, in the same order.
    """

    what: str
    count: int
    first_difference: int | None


def compare_lists(name: str, data: Path) -> list[Comparison]:
    """Draw the parts of a data set anew, and compare them with the authors' lists.

    For asl_signs, the order of Kaggle's table is compared too, if the table is there.

    Args:
        name: a key of HELD_OUT.
        data: the folder of all data sets; `python -m corpora fetch` brings the lists.
    Returns:
        One comparison for each list.
    Raises:
        FileMissingError: a list is missing.
        CorpusError: a list or the table cannot be read.
    """
    root = data / name
    names = read_list(root / ALL)
    drawn = draw_split(names, held_out=HELD_OUT[name])
    # A dict keeps the order in which names were drawn.
    ours = {split: [name for name, part in drawn.items() if part == split] for split in SPLITS[:3]}
    found = [_compare(f"{split}.txt", read_list(root / f"{split}.txt"), ours[split]) for split in SPLITS[:3]]
    if name == "asl_signs" and (root / "train.csv").is_file():
        rows = [row["sequence_id"] for row in read_csv(root / "train.csv", ("sequence_id",))]
        found.append(_compare("train.csv in the order of all.txt", names, rows))
    return found


def _compare(what: str, theirs: list[str], ours: list[str]) -> Comparison:
    pairs = enumerate(zip(theirs, ours, strict=False), start=1)
    first = next((number for number, (one, other) in pairs if one != other), None)
    if first is None and len(theirs) != len(ours):
        first = min(len(theirs), len(ours)) + 1
    return Comparison(what, len(theirs), first)
