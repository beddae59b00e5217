"""Where a model's files lie: weights/<name>/ for its weights, weights/tokenizers/<bert name>/ for shared tokenizers."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.catalog import ModelConfig
from models.errors import CheckpointFormatError, WeightsMissingError

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT_VARIABLE = "SIGNCLIP_WEIGHTS_DIR"
# Row count of this tensor is a model's vocabulary.
TEXT_WORDS = "text_tower.bert.embeddings.word_embeddings.weight"
CHECKPOINT, CONVERTED, TOKENIZER = "checkpoint_best.pt", "model.safetensors", "tokenizer"
# Any of these makes a folder a tokenizer that transformers' AutoTokenizer reads.
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")
# safetensors puts its header's length in the first 8 bytes; its own readers refuse more than 100 MB.
_HEADER_LIMIT_BYTES = 100_000_000
# The largest tensor, a word list, has some 10^5 rows; with up to 4096 columns of 4 bytes, 2^48 still fit into 64 bits.
_SIZE_LIMIT = 2**48


def default_weights_dir() -> Path:
    return Path(os.environ.get(ENVIRONMENT_VARIABLE) or ROOT / "weights")


@dataclass(frozen=True)
class WeightsFolder:
    """One weights directory and what lies in it."""

    path: Path

    def model(self, config: ModelConfig) -> Path:
        return self.path / config.folder

    def checkpoint(self, config: ModelConfig) -> Path:
        """The authors' file, whether or not it is there."""
        return self.model(config) / CHECKPOINT

    def converted(self, config: ModelConfig) -> Path:
        """The safetensors file that is served, whether or not it is there."""
        return self.model(config) / CONVERTED

    def tokenizer(self, config: ModelConfig) -> Path:
        """The model's own tokenizer folder if it has one, else the shared one of its BERT."""
        own = self.model(config) / TOKENIZER
        return own if own.is_dir() else self.path / "tokenizers" / config.tokenizer

    def fingerprint(self, config: ModelConfig) -> tuple[tuple[int, int, int] | None, ...]:
        """What the file system says of a model's files, without opening them: equal as long as they are the same."""
        folder = self.tokenizer(config)
        paths = [self.checkpoint(config), self.converted(config), *(folder / file for file in TOKENIZER_FILES)]
        return tuple(map(_facts, paths))

    def missing(self, config: ModelConfig) -> WeightsMissingError | None:
        """What keeps a model from being served from this folder, or None."""
        fetch = f"python -m models download {config.folder}"
        if not (self.converted(config).is_file() or self.checkpoint(config).is_file()):
            if config.download is None:
                fetch = f"put {CONVERTED} or {CHECKPOINT} into {self.model(config)}"
            return WeightsMissingError(config.name, "weights", fetch)
        folder = self.tokenizer(config)
        if not any((folder / file).is_file() for file in TOKENIZER_FILES[:2]):
            if config.download is None:
                fetch = f"put {TOKENIZER_FILES[0]} or {TOKENIZER_FILES[1]} into {folder}"
            return WeightsMissingError(config.name, f"tokenizer ({config.tokenizer})", fetch)
        return None


def _facts(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_safetensors_header(path: Path) -> dict[str, Any]:
    """Names, types and shapes of a safetensors file's tensors, and its `__metadata__`, without its data.

    Raises:
        CheckpointFormatError: the file is no safetensors file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(_HEADER_LIMIT_BYTES, path.stat().st_size):
                raise CheckpointFormatError(f"{path} is no safetensors file: its header claims {length} bytes")
            header = json.loads(file.read(length))
    except (OSError, ValueError) as error:
        raise CheckpointFormatError(f"{path} is no safetensors file: {error}") from error
    if not isinstance(header, dict):
        raise CheckpointFormatError(f"{path} is no safetensors file: its header is not a mapping")
    for name, entry in header.items():
        if name != "__metadata__" and not _has_shape(entry):
            raise CheckpointFormatError(f"{path} is no safetensors file: its header gives {name[:100]!r} no shape")
    return header


def _has_shape(entry: object) -> bool:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    return isinstance(shape, list) and all(type(size) is int and 0 <= size < _SIZE_LIMIT for size in shape)


def recorded_digest(path: Path) -> str:
    """SHA-256 of what a safetensors file was made from, as recorded in it; of the file itself when it records none."""
    return header_digest(path) or file_digest(path)


def header_digest(path: Path) -> str | None:
    """SHA-256 of what a safetensors file was made from, if it records one: known without reading the tensors."""
    metadata = read_safetensors_header(path).get("__metadata__") or {}
    digest = metadata.get("digest") if isinstance(metadata, dict) else None
    return digest if isinstance(digest, str) else None
