"""Signsuisse, the Swiss lexicon in three sign languages, with a sentence for most entries.

Form: `train.csv`, `val.csv` and `test.csv` with id, name, spokenLanguage, signedLanguage (dsgs, lsf-ch, lis-ch) and
example; `poses/<id>.pose` for the sign, `example_poses/<id>.pose` for the sentence, where there is one.
Source: signsuisse.sgb-fss.ch; SignCLIPSuisseMetaProcessor, J22Melody/fairseq, dsprocessor_sign.py.
"""

from __future__ import annotations

from pathlib import Path

from corpora.errors import RowError
from corpora.examples import (
    TAGGED_PROMPT,
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.media import Media
from corpora.readers.tables import Row, each_split, read_csv

SIGN_LANGUAGES = {"dsgs": "sgg", "lsf-ch": "fsl", "lis-ch": "ise"}
"""The authors' tags: the French and Italian ones are of the neighbouring countries' languages."""
_EXAMPLES = "example_poses"


def read(root: Path, split: Split) -> Corpus:
    """Read signs and, after each, its example sentence.

    Args:
        root: holds the tables and the folders of poses.
        split: which part.
    Raises:
        CorpusError: as Reader.
    """
    signs = Media.below(root, ("poses", "videos"))
    sentences = Media.below(root, (_EXAMPLES, "example_videos")) if (root / _EXAMPLES).is_dir() else None
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for part in each_split(split):
        for row in read_csv(root / f"{part}.csv", ("id", "name", "spokenLanguage", "signedLanguage", "example")):
            item = row.required("id")
            file = signs.find(item)
            if file is None:
                skipped.append(signs.skipped(item, item))
            else:
                examples.append(_example(row, part, item, file, row.required("name")))
            sentence = sentences.find(item) if sentences else None
            if sentence is not None and row["example"].strip():
                examples.append(_example(row, part, f"{item}/example", sentence, row["example"].strip()))
    return Corpus(
        name="signsuisse",
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="by the terms of SGB-FSS",
        source="signsuisse.sgb-fss.ch",
        skipped=tuple(skipped),
    )


def _example(row: Row, part: str, example_id: str, file: Path, text: str) -> Example:
    language = SIGN_LANGUAGES.get(row["signedLanguage"])
    if language is None:
        raise RowError(
            row.path, row.line, f"signedLanguage is {row['signedLanguage']!r}, not one of {', '.join(SIGN_LANGUAGES)}"
        )
    return Example(
        id=example_id,
        path=file,
        text=text,
        label=text,
        split=part,
        spoken_language=row.required("spokenLanguage"),
        sign_language=language,
    )
