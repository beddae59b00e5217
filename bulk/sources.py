"""Where items come from: a folder, a manifest, a published data set, or a pattern of addresses."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from bulk.errors import SourceError
from bulk.items import Item, make_id
from bulk.manifests import SUFFIXES, Manifest, open_manifest
from bulk.storage import has_wildcards, is_address, list_addresses, open_local
from corpora.clip_names import name_clip, remove_suffix
from corpora.errors import CorpusError
from corpora.examples import Example, Split
from corpora.readers.manifest import NAMES
from corpora.readers.media import is_pose, is_video
from corpora.registry import read_corpus


@dataclass(frozen=True)
class Source:
    """Items in a fixed order.

    Attributes:
        name: as its user wrote it.
        read_items: reads them from the start, each time that it is called.
        columns: what items know beside what every item knows.
        count: how many there are; None: not known.
    """

    name: str
    read_items: Callable[[], Iterable[Item]]
    columns: tuple[str, ...] = ()
    count: int | None = None


@dataclass(frozen=True)
class SourceOptions:
    """What a user says about a source.

    Attributes:
        corpus: name of the published data set that lies in the folder; None: it is none.
        split: which part of the data set.
        sign_language: of items that name none.
    """

    corpus: str | None = None
    split: Split = "all"
    sign_language: str | None = None


def open_source(where: str, options: SourceOptions, stack: ExitStack) -> Source:
    """Open a source.

    Args:
        where: a folder, a manifest, a file, a pattern of names, or an address of one of these.
        stack: keeps the copy of a manifest from an object store until the run ends.
    Raises:
        SourceError: there is nothing, or it is no source.
        StorageError: the object store cannot be read.
    """
    source = _find_source(where, options, stack)
    if options.sign_language is None:
        return source
    language = options.sign_language

    def read_items() -> Iterator[Item]:
        for item in source.read_items():
            yield item if item.sign_language else replace(item, sign_language=language)

    return replace(source, read_items=read_items)


def _find_source(where: str, options: SourceOptions, stack: ExitStack) -> Source:
    if options.corpus is not None:
        return _open_corpus(options.corpus, Path(where), options.split)
    if where.lower().endswith(SUFFIXES) and not has_wildcards(where):
        return _open_table(where, stack)
    if is_address(where):
        return _open_address(where, stack)
    if has_wildcards(where) and not Path(where).exists():
        files = sorted(path for path in glob.iglob(where, recursive=True) if os.path.isfile(path))
        return _list_files(where, files, _find_root(where))
    path = Path(where)
    if path.is_dir():
        table = next((path / name for name in NAMES if (path / name).is_file()), None)
        return _wrap(where, open_manifest(table)) if table is not None else _open_folder(where, path)
    if not path.is_file():
        raise SourceError(
            f"{where} is not there; give a folder, a manifest, a pattern in quotation marks or an address"
        )
    return _list_files(where, [where], os.path.dirname(where))


def _open_address(where: str, stack: ExitStack) -> Source:
    """Open a folder of an object store, which may hold a manifest, as on this machine; or a pattern or a file."""
    found, root = list_addresses(where), _find_root(where)
    if not has_wildcards(where):
        table = next((address for name in NAMES if (address := f"{root}/{name}") in found), None)
        if table is not None:
            return _open_table(table, stack)
    return _list_files(where, found, root)


def _open_table(where: str, stack: ExitStack) -> Source:
    if not is_address(where):
        if not Path(where).is_file():
            raise SourceError(f"{where} is not there")
        return _wrap(where, open_manifest(Path(where)))
    # On this machine's disk, because the end of a Parquet file says where its columns are.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="signclip-bulk-")))
    with open_local(where) as copied:
        kept = copied.rename(folder / copied.name)
    return _wrap(where, open_manifest(kept, where.rpartition("/")[0]))


def _wrap(where: str, manifest: Manifest) -> Source:
    return Source(where, manifest.read_items, manifest.columns, manifest.rows)


def _open_folder(where: str, root: Path) -> Source:
    def read_items() -> Iterator[Item]:
        for path in _walk(root):
            yield _make_clip(str(path), path.relative_to(root))

    count = sum(1 for _ in _walk(root))
    if not count:
        raise SourceError(f"{root} holds no .pose file and no video, and no {' or '.join(NAMES)}")
    return Source(where, read_items, count=count)


def _walk(root: Path) -> Iterator[Path]:
    """Find clips in the order of their names; of a video and a pose of one name the pose alone."""
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in _choose(sorted(name for name in names if not name.startswith("."))):
            yield Path(folder, name)


def _choose(names: Iterable[str]) -> list[str]:
    """Choose the clips among names; of a video and its pose, clip.pose or clip.mp4.pose, the pose alone.

    Two videos of one name are both clips. Their ids are equal, so the second one is listed as failed.
    """
    files = [(name, Path(name)) for name in names]
    poses = {remove_suffix(name): name for name, file in files if is_pose(file)}

    def is_chosen(name: str, file: Path) -> bool:
        stem = remove_suffix(name)
        return poses.get(stem) == name or (is_video(file) and stem not in poses and name not in poses)

    return [name for name, file in files if is_chosen(name, file)]


def _list_files(where: str, files: Iterable[str], root: str) -> Source:
    names = _choose(files)
    if not names:
        raise SourceError(f"{where} names no .pose file and no video")

    def read_items() -> Iterator[Item]:
        for name in names:
            place = name[len(root) :].lstrip("/") or name.rpartition("/")[2]  # the root itself may be a file's address
            yield _make_clip(name, PurePosixPath(place))

    return Source(where, read_items, count=len(names))


def _find_root(pattern: str) -> str:
    """Find the folder above the first part with a wildcard; a pattern without one is a folder itself."""
    if not has_wildcards(pattern):
        return pattern.rstrip("/")
    parts = pattern.split("/")
    first = next(index for index, part in enumerate(parts) if has_wildcards(part))
    return "/".join(parts[:first])


def _make_clip(source: str, place: PurePosixPath | Path) -> Item:
    name, gloss = name_clip(place)
    return Item(make_id(name), "pose", source, text=gloss, label=gloss)


def _open_corpus(name: str, root: Path, split: Split) -> Source:
    try:
        corpus = read_corpus(name, root, split)
    except CorpusError as error:
        raise SourceError(str(error)) from error

    def read_items() -> Iterator[Item]:
        for example in corpus.examples:
            yield _wrap_example(example)
        for note in corpus.skipped:
            yield Item(make_id(note.id), "pose", fault=note.reason)

    count = len(corpus.examples) + len(corpus.skipped)
    return Source(f"{name}:{root}", read_items, ("split", "signer"), count)


def _wrap_example(example: Example) -> Item:
    return Item(
        id=make_id(example.id),
        kind="pose",
        source=str(example.path),
        text=example.text,
        label=example.label,
        sign_language=example.sign_language,
        spoken_language=example.spoken_language,
        start_s=example.start_s,
        end_s=example.end_s,
        facts={"split": example.split, "signer": example.signer or ""},
    )
