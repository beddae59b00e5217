"""The metrics of a shipped model, kept beside its weights: one JSON file with one key a command."""

import json
from pathlib import Path
from typing import Any

from processes.files import write_file


def record_metrics(path: Path, key: str, metrics: Any) -> None:
    """Set one key of a metrics file. The keys of other commands stay as they are.

    Raises:
        OSError: the file cannot be read or written.
        JSONDecodeError: the file is damaged.
    """
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    recorded[key] = metrics
    write_file(path, json.dumps(recorded, indent=2, ensure_ascii=False) + "\n")
