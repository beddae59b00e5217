"""Where a model's files lie: weights/<name>/ for its weights, weights/tokenizers/<bert name>/ for shared tokenizers."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.catalog import ModelConfig
from models.errors import CheckpointFormatError, WeightsMissingError
from processes.os_errors import describe_reason

ROOT = Path(__file__).resolve().parents[2]
# The weights directory of the project, which holds the model that ships.
SHIPPED = ROOT / "weights"
ENVIRONMENT_VARIABLE = "SIGNCLIP_WEIGHTS_DIR"
# The row count of this tensor is the size of a model's vocabulary.
TEXT_WORDS = "text_tower.bert.embeddings.word_embeddings.weight"
CHECKPOINT, CONVERTED, TOKENIZER = "checkpoint_best.pt", "model.safetensors", "tokenizer"
# The files of a tokenizer that transformers' AutoTokenizer reads. A folder with one of the first two holds a tokenizer.
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")
# safetensors stores the length of its header in the first 8 bytes. Its own readers accept 100 MB, which take seconds to
# parse. A tensor takes about 110 bytes, and the full-size models have 402: 45 kB.
_HEADER_LIMIT_BYTES = 10_000_000
# The largest tensor, a word list, has some 10^5 rows; with up to 4096 columns of 4 bytes, 2^48 still fit into 64 bits.
_SIZE_LIMIT = 2**48


def find_weights_dir() -> Path:
    """Return the weights directory: $SIGNCLIP_WEIGHTS_DIR, else weights/ of the project."""
    return Path(os.environ.get(ENVIRONMENT_VARIABLE) or SHIPPED)


def holds_tokenizer(folder: Path) -> bool:
    """Check whether a folder holds a tokenizer's vocabulary."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES[:2])


@dataclass(frozen=True)
class WeightsFolder:
    """One weights directory and what lies in it."""

    path: Path

    def locate_folder(self, config: ModelConfig) -> Path:
        """Return the folder of a model's weights, whether or not it exists.

        The model that ships lies in the project; it is served from there when another weights directory has no copy.
        """
        own = self.path / config.folder
        if config.download is None and not own.is_dir() and (SHIPPED / config.folder / CONVERTED).is_file():
            return SHIPPED / config.folder
        return own

    def locate_checkpoint(self, config: ModelConfig) -> Path:
        """Return the path of the authors' file, whether or not it exists."""
        return self.locate_folder(config) / CHECKPOINT

    def locate_converted(self, config: ModelConfig) -> Path:
        """Return the path of the safetensors file that is served, whether or not it exists."""
        return self.locate_folder(config) / CONVERTED

    def locate_tokenizer(self, config: ModelConfig) -> Path:
        """Return the model's own tokenizer folder if it has one, else the shared folder of its BERT."""
        own = self.locate_folder(config) / TOKENIZER
        return own if own.is_dir() else self.path / "tokenizers" / config.tokenizer

    def fingerprint(self, config: ModelConfig) -> tuple[tuple[int, int, int] | None, ...]:
        """Identify a model's files without opening them.

        Returns:
            Inode, time of change in nanoseconds and size in bytes of each file, None for a file that does not exist.
            Two results are equal as long as no file was replaced.
        """
        folder = self.locate_tokenizer(config)
        weights = (self.locate_checkpoint(config), self.locate_converted(config))
        return tuple(map(identify, (*weights, *(folder / name for name in TOKENIZER_FILES))))

    def find_missing(self, config: ModelConfig) -> WeightsMissingError | None:
        """Return the error that says which files a model lacks here, or None if it can be served."""
        fetch = f"python -m models download {config.folder}"
        if not (self.locate_converted(config).is_file() or self.locate_checkpoint(config).is_file()):
            if config.download is None:
                fetch = f"put {CONVERTED} or {CHECKPOINT} into {self.locate_folder(config)}"
            return WeightsMissingError(config.name, "weights", fetch)
        folder = self.locate_tokenizer(config)
        if not holds_tokenizer(folder):
            if config.download is None:
                fetch = f"put {TOKENIZER_FILES[0]} or {TOKENIZER_FILES[1]} into {folder}"
            return WeightsMissingError(config.name, f"tokenizer ({config.tokenizer})", fetch)
        return None


def identify(path: Path) -> tuple[int, int, int] | None:
    """Identify a file without opening it: inode, time of change in nanoseconds, bytes; None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def compute_digest(path: Path) -> str:
    """Compute the SHA-256 of a file, hex.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_safetensors_header(path: Path) -> dict[str, Any]:
    """Read the names, types and shapes of a safetensors file's tensors, and its `__metadata__`, without the data.

    Raises:
        CheckpointFormatError: the file cannot be read, or it is no safetensors file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            most = min(_HEADER_LIMIT_BYTES, path.stat().st_size)
            if not 0 < length <= most:
                raise CheckpointFormatError(
                    f"{path} is no safetensors file: its header claims {length} bytes, and may have {most}"
                )
            header = json.loads(file.read(length))
    except (OSError, ValueError, RecursionError) as error:  # the last for lists nested thousands deep
        raise CheckpointFormatError(f"{path} is no safetensors file: {describe_reason(error)}") from error
    if not isinstance(header, dict):
        raise CheckpointFormatError(f"{path} is no safetensors file: its header is not a mapping")
    for name, entry in header.items():
        if name != "__metadata__" and not _has_shape(entry):
            raise CheckpointFormatError(f"{path} is no safetensors file: its header gives {name[:100]!r} no shape")
    return header


def _has_shape(entry: object) -> bool:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    return isinstance(shape, list) and all(type(size) is int and 0 <= size < _SIZE_LIMIT for size in shape)


def read_digest(path: Path) -> str:
    """Return the SHA-256 of the checkpoint that a safetensors file was made from, hex.

    A file that does not record its checkpoint stands for itself: the SHA-256 is that of the file.

    Raises:
        CheckpointFormatError: the file is no safetensors file.
        OSError: the file cannot be read.
    """
    return read_recorded_digest(path) or compute_digest(path)


def read_recorded_digest(path: Path) -> str | None:
    """Return the SHA-256 that a safetensors file records of its checkpoint, without reading the tensors.

    Returns:
        The digest, hex; None if the file records none.
    Raises:
        CheckpointFormatError: the file is no safetensors file.
    """
    metadata = read_safetensors_header(path).get("__metadata__") or {}
    digest = metadata.get("digest") if isinstance(metadata, dict) else None
    return digest if isinstance(digest, str) else None
