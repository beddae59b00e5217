"""Signsuisse, the Swiss lexicon in three sign languages, with a sentence for most entries.

Form: `train.csv`, `val.csv` and `test.csv`, or the authors' `metadata_train_train.csv`, `metadata_train_val.csv` and
`metadata_test.csv`, with id, name, spokenLanguage, signedLanguage (dsgs, lsf-ch, lis-ch) and
example; `poses/<id>.pose` is the sign, `example_poses/<id>.pose` its example sentence, if it has one.
Source: signsuisse.sgb-fss.ch; SignCLIPSuisseMetaProcessor, J22Melody/fairseq, dsprocessor_sign.py.
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
from corpora.readers.tables import Row, expand_split, find_file, read_csv
from models.catalog import TAGGED_PROMPT

# The authors' tags. For the French and Italian parts they take the sign languages of France and Italy.
SIGN_LANGUAGES = {"dsgs": "sgg", "lsf-ch": "fsl", "lis-ch": "ise"}
# Folders of example sentences; the second one is the authors', as mediapipe_new is theirs of the signs.
_SENTENCES = ("example_poses", "example_mediapipe", "example_videos")
# Source: suisse_finetune.yaml and test_suisse_finetune.yaml, J22Melody/fairseq@a8199440.
_AUTHORS_TABLES = {
    "train": "metadata_train_train.csv",
    "val": "metadata_train_val.csv",
    "test": "metadata_test.csv",
}
_COLUMNS = ("id", "name", "spokenLanguage", "signedLanguage", "example")


def read(root: Path, split: Split) -> Corpus:
    """Read the signs, each followed by its example sentence.

    Args:
        root: holds the tables and the folders of poses.
        split: which part.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    signs = Media.list_files(root, ("poses", "mediapipe_new", "videos"))
    has_sentences = any((root / folder).is_dir() for folder in _SENTENCES[:2])
    sentences = Media.list_files(root, _SENTENCES) if has_sentences else None
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for part in expand_split(split):
        for row in read_csv(find_file(root, (f"{part}.csv", _AUTHORS_TABLES[part])), _COLUMNS, skipped=skipped):
            with skip_faults(skipped):
                item = row.require("id")
                file = signs.find(item)
                if file is None:
                    skipped.append(signs.note_missing(item, item))
                else:
                    examples.append(_make_example(row, part, item, file, row.require("name")))
                sentence = sentences.find(item) if sentences else None
                if sentence is not None and not row["example"].strip():
                    skipped.append(Skipped(f"{item}/example", "the example has no text"))
                elif sentence is not None:
                    examples.append(_make_example(row, part, f"{item}/example", sentence, row["example"].strip()))
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


def _make_example(row: Row, part: str, example_id: str, file: Path, text: str) -> Example:
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
        spoken_language=row.require("spokenLanguage"),
        sign_language=language,
    )
