"""ChicagoFSWild and ChicagoFSWild+: American fingerspelling from the web, 7,304 and 55,232 sequences.

Form: `ChicagoFSWild.csv` (`ChicagoFSWildPlus.csv`) with filename, url, start_time, number_of_frames, width, height,
label_proc, label_raw, label_notes, partition (train, dev, test) and signer; frames as pictures in a folder a sequence;
poses made of them in `pose/`, with filename's slashes as hyphens and without its `_(youtube)` or `_(nad)`.
start_time is a moment of the video that a sequence was cut from, so sequences are read whole.
Source: home.ttic.edu/~klivescu/ChicagoFSWild.htm; sign-language-processing/datasets, chicago_fs_wild.py.
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
from corpora.readers.tables import each_split, find_file, read_csv

_TABLES = ("ChicagoFSWild.csv", "ChicagoFSWildPlus.csv")
_COLUMNS = ("filename", "label_proc", "partition", "signer")
_SPLITS = {"train": "train", "dev": "val", "test": "test"}


def read(root: Path, split: Split) -> Corpus:
    """Read the data set below a folder.

    Args:
        root: holds the table and a folder `pose` or `poses`.
        split: which part.
    Raises:
        CorpusError: as Reader.
    """
    table = find_file(root, _TABLES)
    media = Media.below(root, ("pose", "poses", "videos"))
    wanted = each_split(split)
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for row in read_csv(table, _COLUMNS):
        part = _SPLITS.get(row["partition"])
        if part not in wanted:
            continue
        sequence = row.required("filename")
        clip = sequence.replace("/", "-").replace("_(youtube)", "").replace("_(nad)", "")
        file = media.find(clip) or media.find(sequence)
        if file is None:
            skipped.append(media.skipped(sequence, clip))
            continue
        examples.append(
            Example(
                id=sequence,
                path=file,
                text=row.required("label_proc"),
                label=row["label_proc"],
                split=_SPLITS[row["partition"]],
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
