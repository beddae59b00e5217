"""The fingerspelling lexicon of spoken-to-signed: letters in the alphabets of 20 sign languages, one signer each.

Form: `index.csv` with path, spoken_language, signed_language, start, end, words, glosses and priority; paths are below
its folder. start and end are milliseconds of the videos that the clips were cut from, so clips are read whole.
Source: PyPI package spoken-to-signed 0.4.0 (MIT), spoken_to_signed/assets/fingerspelling_lexicon.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from corpora.errors import FileMissingError
from corpora.examples import (
    TAGGED_PROMPT,
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.tables import read_csv, undivided

DUPLICATE = "fsl"
"""A byte copy of `ase` under another tag: as training data it would teach a lie, as test data it would leak."""
_PACKAGE = "spoken_to_signed"
_FOLDER = "assets/fingerspelling_lexicon"


def installed_folder() -> Path:
    """Find the lexicon without importing its package, which needs a lemmatizer.

    Raises:
        FileMissingError: the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise FileMissingError("the fingerspelling lexicon comes with `pip install spoken-to-signed==0.4.0`")
    return Path(spec.origin).parent / _FOLDER


def read(root: Path, split: Split) -> Corpus:
    """Read all clips but the duplicated language.

    Args:
        root: the lexicon's folder, or the package's.
        split: "all"; which languages are held out is the experiment's choice.
    Raises:
        CorpusError: as Reader.
    """
    undivided("the fingerspelling lexicon", split)
    if (root / _FOLDER).is_dir():
        root = root / _FOLDER
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for row in read_csv(root / "index.csv", ("path", "spoken_language", "signed_language", "words")):
        path, sign_language = row.required("path"), row.required("signed_language")
        # The copies have the original's path: the tag is what tells the rows apart.
        example_id = f"{sign_language}/{Path(path).stem}"
        if sign_language == DUPLICATE:
            skipped.append(Skipped(example_id, "a copy of American Sign Language under another tag"))
        elif not (root / path).is_file():
            skipped.append(Skipped(example_id, f"no file {path}"))
        else:
            examples.append(
                Example(
                    id=example_id,
                    path=root / path,
                    text=row.required("words"),
                    label=row["words"].casefold(),
                    split="all",
                    spoken_language=row.required("spoken_language"),
                    sign_language=sign_language,
                    signer=sign_language,
                )
            )
    return Corpus(
        name="fingerspelling_lexicon",
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip_depth",
        licence="MIT",
        source="PyPI spoken-to-signed 0.4.0",
        skipped=tuple(skipped),
    )
