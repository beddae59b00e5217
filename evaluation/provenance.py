"""Where numbers come from: software, data and training, written beside the metrics so that a table can be audited."""

import hashlib
import json
import platform
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from corpora.examples import Example
from processes.version import VERSION, find_commit, find_package_versions
from processes.yaml_text import YamlError, parse_yaml

# The file of a model's folder that says how the model was trained.
TRAINING_RECORD = "training.yaml"
# The packages that compute features, embeddings and metrics.
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scikit-learn", "pose-format", "pose-anonymization")


def describe_software() -> dict[str, Any]:
    """Describe the program that runs: its version and commit, and the versions of Python and of libraries."""
    commit, changed = find_commit()
    return {
        "signclip": VERSION,
        "commit": commit,
        "uncommitted_changes": changed,
        "python": platform.python_version(),
        **find_package_versions(PACKAGES),
    }


def describe_examples(examples: Iterable[Example]) -> dict[str, Any]:
    """Describe which examples were used, and in which order.

    Returns:
        Their number, and the SHA-256 of their ids, texts, languages, spans, parts and sizes of files in bytes. Equal
        data give equal digests on every machine, because folders and times are not part of it.
    """
    digest, count = hashlib.sha256(), 0
    for example in examples:
        count += 1
        row = [
            *(example.id, example.text, example.label, example.split, example.spoken_language, example.sign_language),
            *(example.start_s, example.end_s, _find_size(example.path)),
        ]
        digest.update(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return {"clips": count, "sha256": digest.hexdigest()}


def read_training_record(folder: Path) -> dict[str, Any] | None:
    """Read how the model of a folder was trained; None if the folder does not say, as those of the authors' models."""
    try:
        record = parse_yaml((folder / TRAINING_RECORD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YamlError):
        return None
    return record if isinstance(record, dict) else None


def _find_size(path: Path) -> int | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None  # a folder's depends on the file system
