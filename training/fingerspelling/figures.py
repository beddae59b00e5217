"""A shipped model's figures, kept beside its weights: one JSON file, one key a command."""

import json
from pathlib import Path
from typing import Any


def record(path: Path, key: str, figures: Any) -> None:
    """Set one key of a results file and leave the others, written by other commands, as they are."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known[key] = figures
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
