"""The clips of a folder or a manifest, with what their names say about them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from corpora.clip_names import name_clip
from corpora.errors import CorpusError
from corpora.examples import Example, Skipped
from corpora.readers import manifest
from corpora.readers.media import POSE_SUFFIXES, find_pose_beside, is_pose, is_video
from dictionary.errors import SourceError
from processes.files import PART
from search.entries import check_entry_id
from search.errors import EntryInvalidError

_SLASHES = str.maketrans("/\\", "--")


def list_clips(source: Path, *, sign_language: str | None = None) -> tuple[list[Example], list[Skipped]]:
    """List the clips of a manifest, a folder or a single file, in the order of their ids.

    A folder's clips are named by their path in it. A clip's gloss is the name of the folder that it lies in, or, right
    below `source`, its own name without a number at its end. The ids of a manifest are kept, with hyphens for slashes.

    Args:
        source: a manifest (.csv, .jsonl, .parquet), a folder, a pose or a video. Where the pose of a video lies beside
            it, the pose is the clip.
        sign_language: tag of clips that have none of their own.
    Returns:
        The clips, and what was left out with the reason.
    Raises:
        SourceError: there is nothing at `source`, or no clip in it.
    """
    if source.is_file() and (is_pose(source) or is_video(source)):
        return [_make_example(source, source.parent, sign_language)], []
    if source.is_file() or any((source / name).is_file() for name in manifest.NAMES):
        return _read_manifest(source, sign_language)
    if not source.is_dir():
        raise SourceError(f"{source}: there is no folder, manifest, pose or video")
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    clips = [path for path in files if _is_clip(path)]
    if not clips:
        raise SourceError(f"{source}: no pose ({', '.join(POSE_SUFFIXES)}) and no video in it, and no manifest")
    examples = [_make_example(path, source, sign_language) for path in clips]
    return _choose_unique([(str(one.path.relative_to(source)), one) for one in examples])


def _is_clip(path: Path) -> bool:
    if is_video(path):
        return find_pose_beside(path) is None
    return is_pose(path) and not path.name.endswith(PART)


def _choose_unique(named: Sequence[tuple[str, Example]]) -> tuple[list[Example], list[Skipped]]:
    """Choose the first clip of each id that an entry may have; the others are skipped.

    Args:
        named: clips, and what they are called where they come from.
    """
    chosen: dict[str, tuple[str, Example]] = {}
    skipped = []
    for name, clip in named:
        try:
            check_entry_id(clip.id)
        except EntryInvalidError as error:
            skipped.append(Skipped(name, str(error)))
            continue
        other, first = chosen.setdefault(clip.id, (name, clip))
        if first is not clip:
            skipped.append(Skipped(name, f"its id would be {clip.id!r}, as that of {other}; rename one of them"))
    return [clip for _, clip in chosen.values()], skipped


def _read_manifest(source: Path, sign_language: str | None) -> tuple[list[Example], list[Skipped]]:
    try:
        corpus = manifest.read(source, "all")
    except CorpusError as error:
        raise SourceError(str(error)) from error
    if not corpus.examples:
        raise SourceError(f"{source}: no clip in it can be used; {corpus.describe_skipped()}")
    examples = [
        example if example.sign_language or sign_language is None else _set_language(example, sign_language)
        for example in corpus.examples
    ]
    # Without a column of ids, they are paths; entries have no slashes in theirs.
    named = [(one.id, replace(one, id=one.id.translate(_SLASHES))) for one in examples]
    chosen, skipped = _choose_unique(named)
    return chosen, [*corpus.skipped, *skipped]


def _set_language(example: Example, sign_language: str) -> Example:
    return Example(
        **{name: getattr(example, name) for name in Example.__slots__ if name != "sign_language"},
        sign_language=sign_language,
    )


def _make_example(path: Path, root: Path, sign_language: str | None) -> Example:
    entry_id, gloss = name_clip(path.relative_to(root))
    return Example(id=entry_id, path=path, text=gloss, label=gloss, split="all", sign_language=sign_language)


def choose_new(examples: Sequence[Example], present: set[str]) -> list[Example]:
    """Choose the clips that a collection does not hold yet, so that an interrupted run goes on where it stopped."""
    return [example for example in examples if example.id not in present]
