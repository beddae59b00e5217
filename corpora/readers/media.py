"""Finding the file behind a row: the pose if there is one, else an array, else the video."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corpora.errors import FileMissingError
from corpora.examples import Skipped

POSE_SUFFIXES = (".pose",)
VIDEO_SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".mpg", ".mpeg", ".m4v")


@dataclass(frozen=True)
class Media:
    """The files of a data set, listed once: asking the disk for each of 500,000 clips takes minutes on network storage.

    Attributes:
        names: path below the root, with forward slashes, without suffix: the file's whole path, by the folder's rank.
    """

    names: tuple[dict[str, Path], ...]
    folders: tuple[str, ...]

    @classmethod
    def below(cls, root: Path, folders: Sequence[str], suffixes: Sequence[str] = POSE_SUFFIXES) -> Media:
        """List the files of folders, the preferred one first.

        Args:
            root: of the data set.
            folders: names below the root; some may be missing.
            suffixes: of usable files, preferred first; videos are always listed, last.
        Raises:
            FileMissingError: none of the folders is there.
        """
        present = [folder for folder in folders if (root / folder).is_dir()]
        if not present:
            raise FileMissingError(f"{root} has no folder {' or '.join(folders)} with clips")
        wanted = (*suffixes, *(suffix for suffix in VIDEO_SUFFIXES if suffix not in suffixes))
        return cls(tuple(_files(root / folder, wanted) for folder in present), tuple(present))

    def find(self, name: str) -> Path | None:
        """The file called that, with any suffix or none in the name; None if there is none."""
        key = name.replace("\\", "/").removeprefix("./")
        stem, dot, suffix = key.rpartition(".")
        # A dot may be part of a name: 4.7e-7-seedSOUR is one of ASL Citizen's.
        keys = (key, stem) if dot and f".{suffix.lower()}" in (*POSE_SUFFIXES, *VIDEO_SUFFIXES, ".npy") else (key,)
        found = [files[key] for key in keys for files in self.names if key in files]
        return next((path for path in found if path.suffix not in VIDEO_SUFFIXES), found[0] if found else None)

    def skipped(self, example_id: str, name: str) -> Skipped:
        """The note on a row whose file is not there."""
        return Skipped(example_id, f"no file {name} in {' or '.join(self.folders)}")


def _files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    ranks = {suffix: rank for rank, suffix in enumerate(suffixes)}
    found: dict[str, tuple[int, Path]] = {}
    for parent, _, names in os.walk(folder, followlinks=True):
        prefix = Path(parent).relative_to(folder).as_posix()
        for name in names:
            stem, suffix = os.path.splitext(name)
            rank = ranks.get(suffix.lower())
            if rank is None:
                continue
            key = stem if prefix == "." else f"{prefix}/{stem}"
            if key not in found or rank < found[key][0]:
                found[key] = (rank, Path(parent, name))
    return {key: path for key, (_, path) in found.items()}
