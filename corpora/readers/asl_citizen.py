"""ASL Citizen: 83,399 clips of 2,731 signs by 52 signers at home, split by signer.

Form: `splits/train.csv`, `val.csv` and `test.csv` with `Participant ID`, `Video file`, `Gloss` and `ASL-LEX Code`;
`videos/<Video file>`; poses of the same names. A file's name often has another gloss than the table; the table counts.
Source: microsoft.com/en-us/research/project/asl-citizen; sign-language-processing/datasets, asl_citizen.py.
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
from corpora.readers.glosses import clean_asl_citizen
from corpora.readers.media import Media
from corpora.readers.tables import expand_split, read_csv
from models.catalog import TAGGED_PROMPT

_COLUMNS = ("Participant ID", "Video file", "Gloss", "ASL-LEX Code")


def read(root: Path, split: Split, *, name: str = "asl_citizen", clean: bool = True) -> Corpus:
    """Read the data set below a folder.

    Args:
        root: the unpacked archive, or the `ASL_Citizen` in it.
        split: which part.
        name: of the data set.
        clean: turn glosses into words, as the zero-shot experiments do; False keeps the glosses as published.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    if (root / "ASL_Citizen").is_dir():
        root = root / "ASL_Citizen"
    media = Media.list_files(root, ("poses", "pose", "videos"))
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for part in expand_split(split):
        for row in read_csv(root / "splits" / f"{part}.csv", _COLUMNS, skipped=skipped):
            with skip_faults(skipped):
                video, gloss = row.require("Video file"), row.require("Gloss")
                file = media.find(video)
                if file is None:
                    skipped.append(media.note_missing(video, video))
                    continue
                text = clean_asl_citizen(gloss) if clean else gloss
                examples.append(
                    Example(
                        id=video,
                        path=file,
                        text=text,
                        label=text,
                        split=part,
                        spoken_language="en",
                        sign_language="ase",
                        signer=row["Participant ID"],
                        gloss=gloss,
                    )
                )
    return Corpus(
        name=name,
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="research only (Microsoft Research Licence)",
        source="microsoft.com/en-us/research/project/asl-citizen",
        skipped=tuple(skipped),
    )
