"""Google Isolated Sign Language Recognition ("asl-signs"): 94,477 clips of 250 signs by 21 signers, as landmarks.

Form: `train.csv` with path, participant_id, sequence_id and sign; a parquet file a clip,
`train_landmark_files/<participant>/<sequence>.parquet`, with 543 rows a frame (face 468, left hand 21, body 33, right
hand 21) of x, y and z as shares of the image, NaN for a point that was not seen. The published test set is secret, so
the paper divides train.csv at random. Lists of sequence ids, `train.txt`, `val.txt` and `test.txt`, override that draw.
Source: kaggle.com/competitions/asl-signs/data; ASLSignMetaProcessor, J22Melody/fairseq, dsprocessor_sign.py.
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
from corpora.readers.tables import Row, expand_split, read_csv, read_splits
from models.catalog import TAGGED_PROMPT

PROMPT = 'Sign the sign "{text}" in {language}.'
# Share of the rows in each of validation and test.
# Source: sign-language-processing/datasets, asl_signs/splits/1.0.0-uzh/split.py.
HELD_OUT = 0.05


def read(root: Path, split: Split, *, name: str = "asl_signs", features: str = "signclip") -> Corpus:
    """Read the data set below a folder.

    Args:
        root: the folder of Kaggle's unpacked archive.
        split: which part.
        name: of the data set; each subset of the points has its own.
        features: the subset of the points, or "signclip" for the poses that SignCLIP was fine-tuned on.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    skipped: list[Skipped] = []
    columns = ("path", "participant_id", "sequence_id", "sign")
    rows = list(read_csv(root / "train.csv", columns, skipped=skipped))
    splits = read_splits(root, _list_names(rows, left_out=len(skipped)), held_out=HELD_OUT)
    wanted = expand_split(split)
    present = {folder.name: {file.name for file in folder.iterdir()} for folder in _list_folders(root)}
    examples: list[Example] = []
    for row in rows:
        with skip_faults(skipped):
            sequence = row.require("sequence_id")
            if splits.get(sequence) not in wanted:
                continue
            path = root / row.require("path").replace("\\", "/")
            if path.name not in present.get(path.parent.name, ()):
                skipped.append(Skipped(sequence, f"no file {row['path']}"))
                continue
            sign = row.require("sign")
            examples.append(
                Example(
                    id=sequence,
                    path=path,
                    text=sign,
                    label=sign,
                    split=splits[sequence],
                    spoken_language="en",
                    sign_language="ase",
                    signer=row["participant_id"],
                )
            )
    return Corpus(
        name=name,
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT if features == "signclip" else PROMPT,
        features=features,
        licence="CC BY 4.0",
        source="kaggle.com/competitions/asl-signs",
        skipped=tuple(skipped),
    )


def _list_names(rows: list[Row], *, left_out: int) -> list[str]:
    """Name every row by its sequence. Rows that were left out keep their places, or the draw would change for all."""
    names = [f"row {number}" for number in range(len(rows) + left_out)]
    for row in rows:
        names[row.number] = row["sequence_id"]
    return names


def _list_folders(root: Path) -> list[Path]:
    landmarks = root / "train_landmark_files"
    return [folder for folder in landmarks.iterdir() if folder.is_dir()] if landmarks.is_dir() else []
