"""What the names of a clip's file and folder say about it, where no table does."""

from __future__ import annotations

from pathlib import PurePath

from corpora.readers.media import POSE_SUFFIXES
from processes.file_kinds import VIDEO_SUFFIXES

# Names of clips of one gloss are numbered: house-1, house_02.
_NUMBER_MARKS = "-_ "


def remove_suffix(name: str) -> str:
    """Return the name of a clip's file without its suffix, such as .pose.zst."""
    suffixes = sorted((*POSE_SUFFIXES, *VIDEO_SUFFIXES), key=len, reverse=True)
    suffix = next((suffix for suffix in suffixes if name.lower().endswith(suffix)), PurePath(name).suffix)
    return name[: len(name) - len(suffix)]


def name_clip(place: PurePath) -> tuple[str, str]:
    """Name a clip by its place below a folder.

    Returns:
        Its id, which is the path with hyphens in place of slashes and without suffix. And its gloss: the name of the
        folder that it lies in or, where it lies in none, its own name without a number at its end.
    """
    name = remove_suffix(place.name)
    gloss = place.parts[-2] if len(place.parts) > 1 else name.rstrip("0123456789").rstrip(_NUMBER_MARKS) or name
    return "-".join([*place.parts[:-1], name]), gloss
