"""Rank the texts of a run by how alike their signs are: `python -m evaluation.iconicity RUN`.

Source: test_iconicity.py and extract_examples_iconicity.py, J22Melody/fairseq@a8199440.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from evaluation.errors import EvaluationError
from evaluation.results import read_run
from evaluation.vectors import EmbeddedCorpus
from processes.commands import parse_positive, print_error
from processes.version import PRODUCT

FILE = "iconicity.csv"
SHOWN = 10


@dataclass(frozen=True)
class SpreadText:
    """How far apart the clips of one text are.

    Attributes:
        spread: sum over dimensions of the standard deviation of the clips' raw vectors.
    """

    text: str
    sign_languages: int
    clips: int
    spread: float


def rank_texts(
    vectors: EmbeddedCorpus, *, min_languages: int = 2, clips: int | None = None, one_word: bool = False
) -> list[SpreadText]:
    """Rank texts by the spread of their clips. Signs that are alike in many languages, such as icons, come first.

    Args:
        vectors: of a data set of several sign languages.
        min_languages: texts of fewer sign languages are left out.
        clips: if given, texts with another number of clips are left out; the authors took those with 37.
        one_word: leave out texts with a space, as the authors did.
    Returns:
        The least spread first; of equal spreads, in the order of the texts.
    """
    texts, text_of = np.unique(vectors.texts, return_inverse=True)
    ranked = []
    for number, text in enumerate(map(str, texts)):
        rows = np.flatnonzero(text_of == number)
        languages = len(np.unique(vectors.sign_languages[rows]))
        if languages < min_languages or (one_word and " " in text) or clips not in (None, len(rows)):
            continue
        spread = float(np.std(vectors.pose[rows].astype(np.float64), axis=0).sum())
        ranked.append(SpreadText(text, languages, len(rows), spread))
    return sorted(ranked, key=lambda entry: entry.spread)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rank the texts of a run.

    Returns:
        The exit status: 0 success, 1 the run cannot be read or has no such texts, 2 usage error.
    """
    options = _build_parser().parse_args(arguments)
    try:
        ranked = _rank(options)
        with (options.run / FILE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([field.name for field in fields(SpreadText)])
            writer.writerows(map(astuple, ranked))
    except (EvaluationError, OSError) as error:
        print_error(error)
        return 1
    shown = ranked if len(ranked) <= 2 * SHOWN else [*ranked[:SHOWN], *ranked[-SHOWN:]]
    print("\n".join(f"{entry.spread:9.3f}  {entry.sign_languages:3} languages  {entry.text}" for entry in shown))
    print(f"{len(ranked)} texts are in {options.run / FILE}")
    return 0


def _rank(options: argparse.Namespace) -> list[SpreadText]:
    vectors = read_run(options.run).vectors
    ranked = rank_texts(vectors, min_languages=options.min_languages, clips=options.clips, one_word=options.one_word)
    if not ranked:
        raise EvaluationError(f"no text of {options.run} has clips of {options.min_languages} sign languages")
    return ranked


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.iconicity", description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder that python -m evaluation wrote")
    parser.add_argument(
        "--min-languages", type=parse_positive, default=2, help="leave out texts of fewer sign languages (default: 2)"
    )
    parser.add_argument("--clips", type=parse_positive, help="leave out texts with another number of clips")
    parser.add_argument("--one-word", action="store_true", help="leave out texts of several words")
    return parser


if __name__ == "__main__":
    sys.exit(main())
