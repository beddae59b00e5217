"""Tables and miniature data sets, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def table(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join((*lines, "")).encode(encoding))
    return path


def place(build: Callable[[Path], Path], root: Path) -> Path:
    """A miniature in a folder of its own."""
    root.mkdir()
    return build(root)
