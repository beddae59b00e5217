"""What lies in a data set's folder, where something else was looked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

_SHOWN = 8


def describe_folder(folder: Path) -> str:
    """Say in a few words what a folder holds, to be put after what it lacks."""
    if not folder.exists():
        return f"{folder} does not exist"
    if not folder.is_dir():
        return f"{folder} is a file, not a folder; unpack it if it is an archive"
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [f"{path.name}/" for path in entries if path.is_dir()]
    files = [path.name for path in entries if not path.is_dir()]
    if not entries:
        return f"{folder} is empty"
    if len(files) > _SHOWN:
        files = describe_suffixes(Counter(Path(name).suffix.lower() or name for name in files))
    shown = [*folders[:_SHOWN], *files]
    more = f" and {len(folders) - _SHOWN} more folders" if len(folders) > _SHOWN else ""
    return f"{folder} holds {', '.join(shown)}{more}"


def describe_suffixes(suffixes: Counter[str]) -> list[str]:
    """Name the commonest kinds of files, each with its number."""
    ordered = sorted(suffixes.items(), key=lambda found: (-found[1], found[0]))
    return [f"{count} {suffix}" for suffix, count in ordered[:_SHOWN]]


def resolve_path(folder: Path, written: str) -> Path:
    """Find the file that a table names; its backslashes are Windows', unless a file has them in its name."""
    path = folder / written
    return path if "\\" not in written or path.exists() else folder / written.replace("\\", "/")
