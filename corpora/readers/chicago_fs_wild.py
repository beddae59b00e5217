"""ChicagoFSWild and ChicagoFSWild+: American fingerspelling from the web, 7,304 and 55,232 sequences.

Form: `ChicagoFSWild.csv` (`ChicagoFSWildPlus.csv`) with filename, url, start_time, number_of_frames, width, height,
label_proc, label_raw, label_notes, partition (train, dev, test) and signer; one folder of pictures a sequence; poses
of the sequences in `pose/`, named by filename with hyphens for slashes and without `_(youtube)` or `_(nad)`.
start_time refers to the video that a sequence was cut from, so each sequence is read whole.
Source: home.ttic.edu/~klivescu/ChicagoFSWild.htm; sign-language-processing/datasets, chicago_fs_wild.py.
"""

from __future__ import annotations

from pathlib import Path

from corpora.errors import RowError
from corpora.examples import (
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.faults import skip_faults
from corpora.readers.media import Media
from corpora.readers.tables import expand_split, find_file, read_csv
from models.catalog import TAGGED_PROMPT

_TABLES = ("ChicagoFSWild.csv", "ChicagoFSWildPlus.csv")
_COLUMNS = ("filename", "label_proc", "partition", "signer")
_SPLITS = {"train": "train", "dev": "val", "test": "test"}


def read(root: Path, split: Split) -> Corpus:
    """Read the data set below a folder.

    Args:
        root: holds the table and a folder `pose` or `poses`.
        split: which part.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    table = find_file(root, _TABLES)
    media = Media.list_files(root, ("pose", "poses", "videos"))
    wanted = expand_split(split)
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for row in read_csv(table, _COLUMNS, skipped=skipped):
        with skip_faults(skipped):
            part = _SPLITS.get(row["partition"])
            if part is None:
                known = ", ".join(_SPLITS)
                raise RowError(row.path, row.line, f"partition is {row['partition']!r}, not one of {known}")
            if part not in wanted:
                continue
            sequence = row.require("filename")
            clip = sequence.replace("/", "-").replace("_(youtube)", "").replace("_(nad)", "")
            file = media.find(clip) or media.find(sequence)
            if file is None:
                skipped.append(media.note_missing(sequence, clip))
                continue
            examples.append(
                Example(
                    id=sequence,
                    path=file,
                    text=row.require("label_proc"),
                    label=row["label_proc"],
                    split=part,
                    spoken_language="en",
                    sign_language="ase",
                    signer=row["signer"],
                )
            )
    return Corpus(
        name="chicago_fs_wild",
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="research only",
        source="home.ttic.edu/~klivescu/ChicagoFSWild.htm",
        skipped=tuple(skipped),
    )
