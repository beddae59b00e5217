"""Paths of this machine, kept out of what clients see."""

import tempfile
from pathlib import Path

from models.checkpoints.folders import ROOT, find_weights_dir


def hide_folders(text: str, weights_dir: Path) -> str:
    """Shorten the paths in a message to what lies below the folders of the service."""
    for folder in (weights_dir, find_weights_dir(), ROOT / "weights", ROOT, Path(tempfile.gettempdir())):
        for written in (folder, folder.absolute(), folder.resolve()):
            text = text.replace(f"{written}/", "")
    return text
