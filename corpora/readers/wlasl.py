"""WLASL: 21,083 clips of 2,000 American signs, from 20 sites of the web.

Form: `WLASL_v0.3.json`, a list of {gloss, instances: [{video_id, split, frame_start, frame_end, fps, signer_id,
variation_id, bbox, …}]}. Frames count from 1, at 25 a second; frame_end -1 is the video's end. They refer to whole
videos, `raw_videos/` (or `raw_poses/`), which the authors' preprocessing cuts to `videos/` (or `poses/`). The boxes are
not used, because features are measured from the shoulders.
Source: github.com/dxli94/WLASL, start_kit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corpora.errors import RowError
from corpora.examples import (
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.cells import describe_missing
from corpora.readers.faults import describe_no_table, find_encoding_fault, skip_faults
from corpora.readers.glosses import clean_wlasl
from corpora.readers.media import Media
from corpora.readers.tables import expand_split
from models.catalog import TAGGED_PROMPT

_CUT = ("poses", "videos")
_WHOLE = ("raw_poses", "raw_videos")


def read(root: Path, split: Split, *, name: str = "wlasl", glosses: int | None = None) -> Corpus:
    """Read the data set below a folder: the cut clips if there are any, else spans of whole videos.

    Args:
        root: holds `WLASL_v0.3.json` and folders of poses or videos.
        split: which part.
        name: of the data set.
        glosses: only the first ones of the list, as in WLASL100, WLASL300 and WLASL1000; None: all.
    Raises:
        CorpusError: the list is missing or wrong. A RowError's line is the number of the entry in the list.
    """
    table = root / "WLASL_v0.3.json"
    whole = not any((root / folder).is_dir() for folder in _CUT)
    media = Media.list_files(root, _WHOLE if whole else _CUT)
    wanted = expand_split(split)
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for number, entry in enumerate(_read_entries(table)[:glosses], start=1):
        for gloss, instance in _list_instances(table, number, entry, skipped):
            with skip_faults(skipped), _translate_faults(table, number):
                if instance["split"] not in wanted:
                    continue
                video = str(instance["video_id"])
                file = media.find(video)
                if file is None:
                    skipped.append(media.note_missing(video, video))
                else:
                    examples.append(_make_example(gloss, instance, file, whole=whole))
    return Corpus(
        name=name,
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="C-UDA, research only",
        source="github.com/dxli94/WLASL",
        skipped=tuple(skipped),
    )


def _read_entries(table: Path) -> list[Any]:
    if not table.is_file():
        raise describe_missing(table)
    try:
        entries = json.loads(table.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise find_encoding_fault(table) from None
    except (ValueError, RecursionError) as error:
        problem = describe_no_table(table) or f"the file is not JSON: {error}"
        raise RowError(table, getattr(error, "lineno", 1), problem) from None
    if not isinstance(entries, list):
        raise RowError(table, 1, "the file is not a list of glosses")
    return entries


def _list_instances(
    table: Path, number: int, entry: Any, skipped: list[Skipped]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pair each instance of an entry with its gloss; an entry that has none is noted."""
    with skip_faults(skipped), _translate_faults(table, number):
        gloss = str(entry["gloss"]).strip()
        if not gloss:
            raise RowError(table, number, "gloss is empty")
        for instance in list(entry["instances"]):
            yield gloss, instance


@contextmanager
def _translate_faults(table: Path, number: int) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise RowError(table, number, f"the entry has no {error.args[0]}") from None
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise RowError(table, number, f"not an entry of WLASL: {error}") from None


def _make_example(gloss: str, instance: dict[str, Any], file: Path, *, whole: bool) -> Example:
    fps = float(instance["fps"])
    first, last = int(instance["frame_start"]), int(instance["frame_end"])
    text = clean_wlasl(gloss)
    return Example(
        id=str(instance["video_id"]),
        path=file,
        text=text,
        label=text,
        split=instance["split"],
        spoken_language="en",
        sign_language="ase",
        start_s=(first - 1) / fps if whole and first > 1 else None,
        end_s=last / fps if whole and last != -1 else None,
        signer=str(instance["signer_id"]),
        gloss=gloss,
    )
