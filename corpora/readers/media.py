"""The files of a data set. For each clip the pose is preferred, then an array, then the video."""

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
    """The files of a data set, listed once. Looking for 500,000 files one by one takes minutes on network storage.

    Attributes:
        names: for each folder, the full paths of its files, by their path below the folder with forward slashes and
            without suffix.
        folders: the names of the folders, the preferred one first.
    """

    names: tuple[dict[str, Path], ...]
    folders: tuple[str, ...]

    @classmethod
    def list_files(cls, root: Path, folders: Sequence[str], suffixes: Sequence[str] = POSE_SUFFIXES) -> Media:
        """List the files of some folders.

        Args:
            root: the data set's folder.
            folders: names below the root, the preferred one first; some may be missing.
            suffixes: of usable files, the preferred one first. Videos are always listed, and come last.
        Raises:
            FileMissingError: all of the folders are missing.
        """
        present = [folder for folder in folders if (root / folder).is_dir()]
        if not present:
            raise FileMissingError(f"{root} has no folder {' or '.join(folders)} with clips")
        wanted = (*suffixes, *(suffix for suffix in VIDEO_SUFFIXES if suffix not in suffixes))
        return cls(tuple(_find_files(root / folder, wanted) for folder in present), tuple(present))

    def find(self, name: str) -> Path | None:
        """Find the file of a name, which may or may not have a suffix.

        Returns:
            The preferred file; None if no folder has one of that name.
        """
        key = name.replace("\\", "/").removeprefix("./")
        stem, dot, suffix = key.rpartition(".")
        # A dot may be part of a name, as in 4.7e-7-seedSOUR of ASL Citizen.
        keys = (key, stem) if dot and f".{suffix.lower()}" in (*POSE_SUFFIXES, *VIDEO_SUFFIXES, ".npy") else (key,)
        found = [files[key] for key in keys for files in self.names if key in files]
        return next((path for path in found if path.suffix not in VIDEO_SUFFIXES), found[0] if found else None)

    def note_missing(self, example_id: str, name: str) -> Skipped:
        """Make the note for a row whose file is missing."""
        return Skipped(example_id, f"no file {name} in {' or '.join(self.folders)}")


def _find_files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
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
