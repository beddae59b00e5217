"""Spreadthesign, SignCLIP's pretraining data: about 450,000 clips of 18,000 concepts in 41 sign languages.

Form: a CSV with pose (file below the pose folder), videoLanguage (the sign language), language (the text's) and text,
a row for each text of each clip; lists of row numbers from 0, `train.txt`, `val.txt` and `test.txt`, or the paper's
draw, which is the same thing. The paper keeps English texts.
Source: SignCLIPPretrainMetaProcessor, J22Melody/fairseq, dsprocessor_sign.py; the splits are of
sign-language-processing/datasets, spread_the_sign/splits/1.0.0-uzh/split.py.
"""

from __future__ import annotations

from pathlib import Path

from corpora.examples import (
    TAGGED_PROMPT,
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.media import Media
from corpora.readers.tables import (
    each_split,
    find_file,
    listed_split,
    read_csv,
)

HELD_OUT = 0.001


def read(
    root: Path, split: Split, *, name: str = "spreadthesign", texts_in: frozenset[str] | None = frozenset({"en"})
) -> Corpus:
    """Read the data set below a folder.

    Args:
        root: holds the table (`spreadthesign.csv` or `metadata.csv`) and a folder of poses.
        split: which part.
        name: of the data set.
        texts_in: languages of the texts that are kept; None keeps all.
    Raises:
        CorpusError: as Reader.
    """
    table = find_file(root, ("spreadthesign.csv", "metadata.csv"))
    media = Media.below(root, ("poses", "pose", "videos"))
    rows = list(read_csv(table, ("pose", "videoLanguage", "language", "text")))
    splits = listed_split(root, [str(number) for number in range(len(rows))], held_out=HELD_OUT)
    wanted = each_split(split)
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for number, row in enumerate(rows):
        part = splits.get(str(number))
        if part not in wanted or (texts_in is not None and row["language"] not in texts_in):
            continue
        pose = row.required("pose")
        file = media.find(pose)
        if file is None:
            skipped.append(media.skipped(str(number), pose))
            continue
        examples.append(
            Example(
                id=str(number),
                path=file,
                text=row.required("text"),
                label=row["text"],
                split=splits[str(number)],
                spoken_language=row.required("language"),
                sign_language=row.required("videoLanguage"),
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
