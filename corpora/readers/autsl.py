"""AUTSL: 36,302 clips of 226 Turkish signs by 43 signers, split by signer.

Form: `train_labels.csv`, `validation_labels.csv` and `test_labels.csv`, lines `signer0_sample1,41` without a header;
`SignList_ClassId_TR_EN.csv` with the Turkish and English names of the classes; poses or videos in `train/`, `val/` and
`test/`, named `signer0_sample1_color.mp4`, with or without `_color`. Depth videos are not used. The lists of validation
and test are published as `ground_truth.csv`; rename them.
Source: chalearnlap.cvc.uab.es/dataset/40; sign-language-processing/datasets, autsl.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from corpora.errors import RowError
from corpora.examples import Corpus, Example, Skipped, Split
from corpora.readers.faults import skip_faults
from corpora.readers.media import Media
from corpora.readers.tables import Row, expand_split, read_csv, read_lines
from models.catalog import TAGGED_PROMPT

_NAMES = "SignList_ClassId_TR_EN.csv"
_LISTS = {"train": "train_labels.csv", "val": "validation_labels.csv", "test": "test_labels.csv"}
# The columns of the names, by the tag of the spoken language.
_COLUMNS = {"en": "EN", "tr": "TR"}


def read(root: Path, split: Split, *, name: str = "autsl", spoken: str = "en") -> Corpus:
    """Read the data set below a folder.

    Args:
        root: holds the lists and the folders of clips.
        split: which part.
        name: of the data set.
        spoken: "en" for the English names of the signs, "tr" for the Turkish ones.
    Raises:
        CorpusError: a list is missing or wrong; see corpora.examples.Reader.
    """
    skipped: list[Skipped] = []
    texts = {row.require("ClassId"): row.require(_COLUMNS[spoken]) for row in _read_names(root)}
    examples: list[Example] = []
    for part in expand_split(split):
        table = root / _LISTS[part]
        media = Media.list_files(root, (part, f"{part}_poses"))
        for line, text in read_lines(table):
            with skip_faults(skipped):
                sample, label = _split_line(table, line, text)
                file = media.find(f"{sample}_color") or media.find(sample)
                if file is None:
                    skipped.append(media.note_missing(f"{part}/{sample}", f"{sample}_color"))
                    continue
                if label not in texts:
                    raise RowError(table, line, f"class {label!r} is not in {_NAMES}")
                examples.append(
                    Example(
                        id=f"{part}/{sample}",
                        path=file,
                        text=texts[label],
                        label=label,
                        split=part,
                        spoken_language=spoken,
                        sign_language="tsm",
                        signer=sample.partition("_")[0],
                    )
                )
    return Corpus(
        name=name,
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="research only",
        source="chalearnlap.cvc.uab.es/dataset/40",
        skipped=tuple(skipped),
    )


def _read_names(root: Path) -> Iterator[Row]:
    return read_csv(root / _NAMES, ("ClassId", *_COLUMNS.values()))


def _split_line(table: Path, line: int, text: str) -> tuple[str, str]:
    sample, comma, label = (cell.strip() for cell in text.partition(","))
    if not comma or not sample or not label.isdigit():
        raise RowError(table, line, f"{text!r} is not a sample and the number of its class, as in signer0_sample1,41")
    return sample, label
