"""The metrics of a shipped model, kept beside its weights: one JSON file with one key a command."""

import json
from pathlib import Path
from typing import Any

from processes.files import write_file
from training.errors import KeptFileError


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a metrics file.

    Raises:
        OSError: the file cannot be read.
        KeptFileError: the file is damaged.
    """
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _make_error(path, f"it is no JSON ({error})") from error
    if not isinstance(metrics, dict):
        raise _make_error(path, "it holds no JSON object")
    return metrics


def check_metrics_file(path: Path | None) -> None:
    """Check that metrics can be recorded, before they are measured, because measuring takes long.

    Args:
        path: of a metrics file, which need not exist yet; None: nothing is recorded.
    Raises:
        OSError: the file cannot be read.
        KeptFileError: the file is damaged.
    """
    if path is not None and path.exists():
        read_metrics(path)


def record_metrics(path: Path, key: str, metrics: Any) -> None:
    """Set one key of a metrics file. The keys of other commands stay as they are.

    Raises:
        OSError: the file cannot be read or written.
        KeptFileError: the file is damaged.
    """
    recorded = read_metrics(path) if path.exists() else {}
    recorded[key] = metrics
    write_file(path, json.dumps(recorded, indent=2, ensure_ascii=False) + "\n")


def _make_error(path: Path, problem: str) -> KeptFileError:
    return KeptFileError(
        f"{path} is damaged: {problem}. Bring a former version of it back, for example with git; or remove it, and "
        "measure again with --json"
    )
