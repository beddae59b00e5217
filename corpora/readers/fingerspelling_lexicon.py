"""The fingerspelling lexicon of spoken-to-signed: letters in the alphabets of 20 sign languages, one signer each.

Form: `index.csv` with path, spoken_language, signed_language, start, end, words, glosses and priority; paths are below
its folder. start and end are milliseconds in the videos that the clips were cut from, so each clip is read whole.
Source: PyPI package spoken-to-signed 0.4.0 (MIT), spoken_to_signed/assets/fingerspelling_lexicon.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from corpora.errors import FileMissingError
from corpora.examples import (
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.faults import skip_faults
from corpora.readers.folders import resolve_path
from corpora.readers.tables import read_csv, require_undivided
from models.catalog import TAGGED_PROMPT

# The clips of `fsl` are byte copies of those of `ase`. In training they would teach a wrong language, and as test data
# they would be known from training.
DUPLICATE = "fsl"
_PACKAGE = "spoken_to_signed"
_FOLDER = "assets/fingerspelling_lexicon"


def find_installed_folder() -> Path:
    """Find the lexicon of the installed package, without importing the package, which needs a lemmatizer.

    Raises:
        FileMissingError: the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise FileMissingError(
            "the fingerspelling lexicon is not installed; install it with `pip install spoken-to-signed==0.4.0`"
        )
    return Path(spec.origin).parent / _FOLDER


def read(root: Path, split: Split) -> Corpus:
    """Read all clips except those of the duplicated language.

    Args:
        root: the folder of the lexicon or of its package.
        split: must be "all"; each experiment chooses which languages it holds out.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    require_undivided("the fingerspelling lexicon", split)
    if (root / _FOLDER).is_dir():
        root = root / _FOLDER
    examples: list[Example] = []
    skipped: list[Skipped] = []
    columns = ("path", "spoken_language", "signed_language", "words")
    for row in read_csv(root / "index.csv", columns, skipped=skipped):
        with skip_faults(skipped):
            path, sign_language = resolve_path(root, row.require("path")), row.require("signed_language")
            # The copies have the same paths as the originals, so the id needs the tag.
            example_id = f"{sign_language}/{path.stem}"
            if sign_language == DUPLICATE:
                skipped.append(Skipped(example_id, "a copy of American Sign Language under another tag"))
                continue
            if not path.is_file():
                skipped.append(Skipped(example_id, f"no file {row['path']}"))
                continue
            examples.append(
                Example(
                    id=example_id,
                    path=path,
                    text=row.require("words"),
                    label=row["words"].casefold(),
                    split="all",
                    spoken_language=row.require("spoken_language"),
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
