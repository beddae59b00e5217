"""Spreadthesign, SignCLIP's pretraining data: about 450,000 clips of 18,000 concepts in 41 sign languages.

Form: a CSV with pose (a file below the pose folder), videoLanguage (the sign language), language (of the text) and
text, one row for each text of each clip; lists of row numbers from 0, `train.txt`, `val.txt` and `test.txt`. Without
the lists, rows are drawn as in the paper, with the same result. The paper uses the English texts.
Source: SignCLIPPretrainMetaProcessor, J22Melody/fairseq, dsprocessor_sign.py; the splits are of
sign-language-processing/datasets, spread_the_sign/splits/1.0.0-uzh/split.py.
"""

from __future__ import annotations

from pathlib import Path

from corpora.examples import (
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.faults import skip_faults
from corpora.readers.media import Media
from corpora.readers.tables import (
    expand_split,
    find_file,
    read_csv,
    read_splits,
)
from models.catalog import TAGGED_PROMPT

# Share of the rows in each of validation and test. Source: split.py as above, since commit 98b5615 (2024-04-08), before
# the paper's runs; the published shares of clips fit 4,531 candidates, 1 % of the English rows.
HELD_OUT = 0.01
# The authors spell the last one so.
_TABLES = ("spreadthesign.csv", "metadata.csv", "SperadTheSign.csv")
_COLUMNS = ("pose", "videoLanguage", "language", "text")


def read(
    root: Path, split: Split, *, name: str = "spreadthesign", texts_in: frozenset[str] | None = frozenset({"en"})
) -> Corpus:
    """Read the data set below a folder.

    Args:
        root: holds the table (`spreadthesign.csv` or another name of _TABLES) and a folder of poses.
        split: which part.
        name: of the data set.
        texts_in: languages of the texts that are kept; None keeps all.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    media = Media.list_files(root, ("poses", "pose", "sign-mt-poses", "videos"))
    skipped: list[Skipped] = []
    rows = list(read_csv(find_file(root, _TABLES), _COLUMNS, skipped=skipped))
    # Rows that were left out keep their numbers, or all rows after them would change splits.
    splits = read_splits(root, [str(number) for number in range(len(rows) + len(skipped))], held_out=HELD_OUT)
    wanted = expand_split(split)
    examples: list[Example] = []
    for row in rows:
        example_id = str(row.number)
        part = splits.get(example_id)
        if part not in wanted or (texts_in is not None and row["language"] not in texts_in):
            continue
        with skip_faults(skipped):
            if (file := media.find(row.require("pose"))) is None:
                skipped.append(media.note_missing(example_id, row["pose"]))
                continue
            examples.append(
                Example(
                    id=example_id,
                    path=file,
                    text=row.require("text"),
                    label=row["text"],
                    split=splits[example_id],
                    spoken_language=row.require("language"),
                    sign_language=row.require("videoLanguage"),
                )
            )
    return Corpus(
        name=name,
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="by agreement with Spreadthesign",
        source="spreadthesign.com",
        skipped=tuple(skipped),
    )
