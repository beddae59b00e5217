"""The files of a data set. For each clip the pose is preferred, then an array, then the video."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corpora.errors import FileMissingError
from corpora.examples import Skipped
from corpora.readers.folders import describe_folder, describe_suffixes
from processes.file_kinds import VIDEO_SUFFIXES

# Packed poses are read as they are.
POSE_SUFFIXES = (".pose", ".pose.gz", ".pose.zst")


def is_pose(path: Path) -> bool:
    """Whether a file is a pose by its name, packed or not."""
    return path.name.lower().endswith(POSE_SUFFIXES)


def is_video(path: Path) -> bool:
    """Whether a file is a video by its name."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def find_pose_beside(video: Path) -> Path | None:
    """Find the pose that was estimated of a video and lies beside it; None if there is none."""
    for name in (video.stem, video.name):  # clip.pose, or clip.mp4.pose where suffixes were kept
        for suffix in POSE_SUFFIXES:
            pose = video.with_name(name + suffix)
            if pose.is_file():
                return pose
    return None


@dataclass(frozen=True)
class Media:
    """The files of a data set, listed once. Looking for 500,000 files one by one takes minutes on network storage.

    Attributes:
        names: for each folder, the full paths of its files, by their path below the folder with forward slashes and
            without suffix.
        folders: the names of the folders, the preferred one first.
        others: how many files of each other suffix lie in the folders.
    """

    names: tuple[dict[str, Path], ...]
    folders: tuple[str, ...]
    others: tuple[tuple[str, int], ...] = ()

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
            raise FileMissingError(f"{root} has no folder {' or '.join(folders)} with clips; {describe_folder(root)}")
        wanted = (*suffixes, *(suffix for suffix in VIDEO_SUFFIXES if suffix not in suffixes))
        others: Counter[str] = Counter()
        names = tuple(_find_files(root / folder, wanted, others) for folder in present)
        return cls(names, tuple(present), tuple(others.items()))

    def find(self, name: str) -> Path | None:
        """Find the file of a name, which may or may not have a suffix.

        Returns:
            The preferred file; None if no folder has one of that name.
        """
        key = name.replace("\\", "/").removeprefix("./")
        # A dot may be part of a name, as in 4.7e-7-seedSOUR of ASL Citizen.
        stem = _remove_suffix(key, (*POSE_SUFFIXES, *VIDEO_SUFFIXES, ".npy"))
        keys = (key,) if stem is None else (key, stem)
        found = [files[key] for key in keys for files in self.names if key in files]
        return next((path for path in found if not is_video(path)), found[0] if found else None)

    def note_missing(self, example_id: str, name: str) -> Skipped:
        """Make the note for a row whose file is missing; it says what lies there if nothing usable does."""
        reason = f"no file {name} in {' or '.join(self.folders)}"
        if not any(self.names):
            held = ", ".join(describe_suffixes(Counter(dict(self.others)))) or "nothing"
            reason += f", which hold{'s' if len(self.folders) == 1 else ''} {held}"
        return Skipped(example_id, reason)


def _find_files(folder: Path, suffixes: Sequence[str], others: Counter[str]) -> dict[str, Path]:
    ranks = {suffix: rank for rank, suffix in enumerate(suffixes)}
    # The longest first, because .pose.gz also ends in .gz.
    ordered = sorted(suffixes, key=len, reverse=True)
    found: dict[str, tuple[int, Path]] = {}
    for parent, _, names in os.walk(folder, followlinks=True):
        prefix = Path(parent).relative_to(folder).as_posix()
        for name in names:
            if name.startswith("."):  # also what macOS lays beside each file that it copies, with "._" before its name
                continue
            stem = _remove_suffix(name, ordered)
            if stem is None:
                others[Path(name).suffix.lower() or name] += 1
                continue
            rank = ranks[name[len(stem) :].lower()]
            key = stem if prefix == "." else f"{prefix}/{stem}"
            if key not in found or rank < found[key][0]:
                found[key] = (rank, Path(parent, name))
    return {key: path for key, (_, path) in found.items()}


def _remove_suffix(name: str, suffixes: Sequence[str]) -> str | None:
    """A name without the suffix that it has; None if it has none of them."""
    lowered = name.lower()
    return next((name[: -len(suffix)] for suffix in suffixes if lowered.endswith(suffix)), None)
