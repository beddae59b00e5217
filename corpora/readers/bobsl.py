"""BOBSL, British Sign Language on television: isolated signs, cut out of whole episodes where words were spotted.

Form: the release's files of spottings, in `spottings/` as in version 1.2, or in `manual_annotations/isolated_signs/`
and `automatic_annotations/isolated_signs/` as in 1.4; `subset2episode.json`, in the root, in `metadata/` or in
`splits/`, for those that are pickles; poses of whole episodes, `poses/<episode>.pose`. The test part is what people
verified. Training and validation are automatic: all sources that are there, each above its own probability.
Source: robots.ox.ac.uk/~vgg/data/bobsl; bobsl_islr.py of sign-language-processing/datasets@b01beb0. The authors train
on the same spottings from a list that is not published, limited to 8,697 words; `words.txt`, one a line, limits them
here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from corpora.errors import FileMissingError, RowError
from corpora.examples import Corpus, Example, Skipped, Split
from corpora.readers.folders import describe_folder
from corpora.readers.media import Media
from corpora.readers.spottings import Spotting, read_spottings
from corpora.readers.tables import expand_split, find_file, read_list
from models.catalog import TAGGED_PROMPT

FPS = 25
# What is no word.
_MARKS = frozenset({"_fingerspelling", "_nosigning", "_pointing", "_lexical_signing"})
_MANUAL, _AUTOMATIC = "manual_annotations/isolated_signs", "automatic_annotations/isolated_signs"


@dataclass(frozen=True)
class Source:
    """A way in which signs were spotted.

    Attributes:
        name: part of the ids.
        frames: where a sign begins and ends, in frames from the spotting; type2offsets.
        least: the probability that a spotting of each part needs; type2prob_thresh.
        files: where its file may be, the preferred one first.
    """

    name: str
    frames: tuple[int, int]
    least: Mapping[str, float]
    files: tuple[str, ...]


SOURCES = (
    Source(
        *("dict", (-3, 22), {"test": 0.0}),
        files=(f"{_MANUAL}/verified_dict_spottings.json", "spottings/verified_dict_spottings.json"),
    ),
    Source(
        *("mouthing", (-15, 4), {"test": 0.0}),
        files=(f"{_MANUAL}/verified_mouthing_spottings.json", "spottings/verified_mouthing_spottings.json"),
    ),
    Source(
        *("attention", (-8, 18), {"train": 0.0, "val": 0.0}),
        files=(f"{_AUTOMATIC}/attention/attention_spottings.json", "spottings/attention_spottings.json"),
    ),
    Source(
        *("mouthing", (-9, 11), {"train": 0.8, "val": 0.8}),
        files=(
            *(f"{_AUTOMATIC}/mouthing/mouthing_spottings_{name}" for name in ("v2.pkl", "v2.json", "v1.json")),
            "spottings/mouthing_spottings.json",
        ),
    ),
    Source(
        *("dict", (-3, 22), {"train": 0.8, "val": 0.9}),
        files=(
            *(f"{_AUTOMATIC}/dictionary/dictionary_spottings_{name}" for name in ("v2.pkl", "v2.json", "v1.json")),
            "spottings/dict_spottings.json",
        ),
    ),
    Source(
        *("i3d_pseudo_label", (0, 19), {"train": 0.5, "val": 0.5}),
        files=tuple(f"{_AUTOMATIC}/i3d_pseudo_labels/i3d_pseudo_labels_spottings.{end}" for end in ("pkl", "json")),
    ),
)


def read(root: Path, split: Split) -> Corpus:
    """Read the signs that were spotted, source by source.

    Args:
        root: the folder of the release, with a folder of poses or videos of episodes.
        split: which part.
    Raises:
        CorpusError: a file of spottings is missing or wrong; see corpora.examples.Reader.
    """
    media = Media.list_files(root, ("poses", "pose", "videos"))
    words = frozenset(read_list(root / "words.txt")) if (root / "words.txt").is_file() else None
    examples: list[Example] = []
    skipped: dict[str, Skipped] = {}
    for part in expand_split(split):
        for source, spotting in _list_spottings(root, part):
            if spotting.word in _MARKS or (words is not None and spotting.word not in words):
                continue
            file = media.find(spotting.episode)
            if file is None:
                # One note for each episode, because some have a thousand spottings.
                skipped.setdefault(spotting.episode, media.note_missing(spotting.episode, spotting.episode))
            else:
                examples.append(_make_example(source, spotting, part, file))
    return Corpus(
        name="bobsl",
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="research only, by agreement with the BBC",
        source="robots.ox.ac.uk/~vgg/data/bobsl",
        skipped=tuple(skipped.values()),
    )


def _list_spottings(root: Path, part: str) -> Iterator[tuple[Source, Spotting]]:
    sources = [source for source in SOURCES if part in source.least]
    found = [
        (source, path)
        for source in sources
        if (path := next((root / file for file in source.files if (root / file).is_file()), None)) is not None
    ]
    if not found:
        known = ", ".join(source.files[-1] for source in sources)
        raise FileMissingError(f"{root} has no spottings of {part}, such as {known}; {describe_folder(root)}")
    parts = _read_parts(root) if any(path.suffix == ".pkl" for _, path in found) else {}
    for source, path in found:
        for belongs_to, spotting in read_spottings(path, parts):
            if belongs_to == part and spotting.probability >= source.least[part]:
                yield source, spotting


def _read_parts(root: Path) -> dict[str, str]:
    """Read the part of each episode."""
    path = find_file(root, [f"{folder}subset2episode.json" for folder in ("", "metadata/", "splits/")])
    try:
        subsets = json.loads(path.read_bytes())
        return {
            str(episode).removesuffix(".mp4"): part for part in ("train", "val", "test") for episode in subsets[part]
        }
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RowError(path, 1, f"the file does not say which episodes train, val and test have: {error!r}") from None


def _make_example(source: Source, spotting: Spotting, part: str, file: Path) -> Example:
    # The authors round down in both parts, but before they add the offset in training and after it in the test. Sums
    # with whole offsets are the same, except before the episode's start.
    frame = int(spotting.time_s * FPS)
    first, last = max(0, frame + source.frames[0]), frame + source.frames[1]
    return Example(
        id=f"{part}-{source.name}-{spotting.word}-{spotting.episode}-{spotting.time_s}",
        path=file,
        text=spotting.word,
        label=spotting.word,
        split=part,
        spoken_language="en",
        sign_language="bfi",
        start_s=first / FPS,
        end_s=last / FPS,
    )
