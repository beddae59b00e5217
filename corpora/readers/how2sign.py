"""How2Sign: 80 hours of American Sign Language, 35,000 sentences by 11 signers.

Form: `how2sign_realigned_<split>.csv`, separated by tabs, with VIDEO_ID, VIDEO_NAME, SENTENCE_ID, SENTENCE_NAME,
START_REALIGNED, END_REALIGNED (seconds in the whole video) and SENTENCE; files of cut sentences, named by
SENTENCE_NAME, or of whole videos, named by VIDEO_NAME.
Source: how2sign.github.io.
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
from corpora.readers.tables import (
    Row,
    expand_split,
    find_file,
    read_csv,
)
from models.catalog import TAGGED_PROMPT

_COLUMNS = ("VIDEO_NAME", "SENTENCE_NAME", "START_REALIGNED", "END_REALIGNED", "SENTENCE")


def read(root: Path, split: Split) -> Corpus:
    """Read the data set below a folder: the cut sentences if there are files of them, else spans of whole videos.

    Args:
        root: holds the tables, or folders `<split>/` with them, and a folder `poses` or `raw_videos`.
        split: which part.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    media = Media.list_files(root, ("poses", "raw_poses", "videos", "raw_videos"))
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for part in expand_split(split):
        name = f"how2sign_realigned_{part}.csv"
        table = find_file(root, (name, f"{part}/{name}"))
        # Sentences contain quotations, and some quotation marks have no counterpart.
        for row in read_csv(table, _COLUMNS, delimiters="\t,", row_a_line=True, skipped=skipped):
            with skip_faults(skipped):
                example = _make_example(row, part, media)
                if example is None:
                    skipped.append(
                        media.note_missing(row["SENTENCE_NAME"], f"{row['SENTENCE_NAME']} or {row['VIDEO_NAME']}")
                    )
                else:
                    examples.append(example)
    return Corpus(
        name="how2sign",
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="CC BY-NC 4.0",
        source="how2sign.github.io",
        skipped=tuple(skipped),
    )


def _make_example(row: Row, part: str, media: Media) -> Example | None:
    sentence, video = row.require("SENTENCE_NAME"), row.require("VIDEO_NAME")
    start_s, end_s = row.parse_number("START_REALIGNED"), row.parse_number("END_REALIGNED")
    if start_s is None or end_s is None or not 0 <= start_s < end_s:
        raise RowError(row.path, row.line, f"the span from {start_s} to {end_s} seconds is empty or missing")
    cut = media.find(sentence)
    file = cut or media.find(video)
    if file is None:
        return None
    return Example(
        id=sentence,
        path=file,
        text=row.require("SENTENCE"),
        label=row["SENTENCE"],
        split=part,
        spoken_language="en",
        sign_language="ase",
        start_s=None if cut else start_s,
        end_s=None if cut else end_s,
    )
