"""Sem-Lex Benchmark: 91,148 clips of 3,149 American signs by 41 signers.

Form: `semlex_metadata.csv` with video_id, signer_id, duration, split, label_type and label; poses as
`<split>/<video_id>.npy`, float16 (frames, 553, 3): face 478, body 33, left hand 21, right hand 21, x and y as shares of
the image, NaN for a point that was not seen; or videos. A video may have several rows, even in several splits. As in
the authors' code, each row is an example.
Source: github.com/leekezar/SemLex; sign-language-processing/datasets@d71f97f5, sem_lex.py.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from corpora.errors import RowError
from corpora.examples import (
    SPLITS,
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.faults import note_fault, skip_faults
from corpora.readers.glosses import clean_sem_lex
from corpora.readers.media import POSE_SUFFIXES, Media
from corpora.readers.tables import (
    Row,
    expand_split,
    find_file,
    read_csv,
)
from models.catalog import TAGGED_PROMPT

_NAMES = ("semlex_metadata.csv", "sem-lex-metadata.csv", "metadata.csv")
_COLUMNS = ("video_id", "signer_id", "split", "label_type", "label")


def read(root: Path, split: Split, *, name: str = "sem_lex", clean: bool = True) -> Corpus:
    """Read the data set below a folder.

    Args:
        root: holds the table and folders `train`, `val` and `test`, or `poses` or `videos`.
        split: which part.
        name: of the data set.
        clean: turn labels into words, as the zero-shot experiments do; False keeps the labels as published.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    table = find_file(root, _NAMES)
    # A video may be in two splits and have a file in each of their folders.
    media = {
        part: Media.list_files(root, ("poses", "pose", part, "videos"), (*POSE_SUFFIXES, ".npy"))
        for part in expand_split(split)
    }
    examples: list[Example] = []
    skipped: list[Skipped] = []
    rows: Counter[str] = Counter()
    for row in read_csv(table, _COLUMNS, skipped=skipped):
        if row["split"] not in media:
            if row["split"] not in SPLITS[:3]:
                fault = RowError(row.path, row.line, f"split is {row['split']!r}, not one of {', '.join(SPLITS[:3])}")
                skipped.append(note_fault(fault))
            continue
        with skip_faults(skipped):
            video = row.require("video_id")
            example_id = f"{row['split']}/{video}"
            file = media[row["split"]].find(example_id) or media[row["split"]].find(video)
            rows[example_id] += 1
            if rows[example_id] > 1:
                example_id = f"{example_id}/{rows[example_id]}"
            if file is None:
                skipped.append(media[row["split"]].note_missing(example_id, video))
                continue
            examples.append(_make_example(row, example_id, file, clean=clean))
    return Corpus(
        name=name,
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="CC BY-NC-SA 4.0",
        source="github.com/leekezar/SemLex",
        skipped=tuple(skipped),
    )


def _make_example(row: Row, example_id: str, file: Path, *, clean: bool) -> Example:
    label = row.require("label")
    text = clean_sem_lex(label) if clean else label
    return Example(
        id=example_id,
        path=file,
        text=text,
        label=text,
        split=row["split"],
        spoken_language="en",
        sign_language="ase",
        signer=row["signer_id"],
        gloss=row["label"],
    )
