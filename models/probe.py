"""One text and one clip with known vectors. A served model must reproduce these vectors before it is called ready."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from models.catalog import ModelConfig
from models.embedding import EmbeddingModel
from models.tokenization import Tokenizer
from processes.files import write_file

log = logging.getLogger(__name__)
FILE = "probe.safetensors"
TEXT = "house"
FRAMES = 24
# Distance that each number format may stray from the float32 reference, as a share of the largest value
# (goldens allow 1e-4 in float32, and TF32 and float16 stray 2e-3 with their 11 bits of mantissa; bfloat16 has 8 bits,
# compounded over 12 layers).
TOLERANCE = {"float32": 1e-3, "tf32": 2e-2, "float16": 2e-2, "bfloat16": 1e-1}


def make_probe_items(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, npt.NDArray[Any]]:
    """Make one item for each tower: a word, and smooth made-up motion that a hand could follow.

    Returns:
        "text": int32 (tokens,); "pose": float32 (frames, features), of FRAMES frames or config.max_frames if less.
    """
    text = tokenizer.build_input_ids(tokenizer.split([TEXT])[0], max_pieces=config.max_pieces)
    frames = min(FRAMES, config.max_frames)
    time = np.arange(frames)[:, None] / 12
    phase = np.arange(config.feature_dim)[None, :] * 0.7
    return {"text": text, "pose": np.sin(time + phase).astype(np.float32)}


def find_expected_vectors(path: Path, config: ModelConfig, tokenizer: Tokenizer, *, digest: str) -> dict[str, Any]:
    """Find what the reference backend computes for the probe. The first call keeps it in a file beside the weights.

    Args:
        path: safetensors file of the model.
        config: of the model.
        tokenizer: of the model.
        digest: of its checkpoint. A file that was made from another checkpoint or configuration is replaced.
    Returns:
        float32 (embed_dim,) for "text" and "pose".
    """
    items, key = make_probe_items(config, tokenizer), _make_key(config, tokenizer, digest)
    try:
        known = load_file(_locate_record(path, config))
        if known.pop("key").tobytes().decode() == key and set(known) == {"text", "pose"}:
            return known
    except (OSError, SafetensorError, KeyError):
        pass
    from models.backends.pytorch import TorchBackend  # late, because torch is needed only until the file exists

    backend = TorchBackend(path, config, device="cpu", dtype="float32")
    model = EmbeddingModel(config, tokenizer, backend, digest)
    vectors = {tower: model.encode(tower, [item])[0] for tower, item in items.items()}  # type: ignore[arg-type]
    keep_expected_vectors(path, config, tokenizer, digest=digest, vectors=vectors)
    return vectors


def keep_expected_vectors(
    path: Path, config: ModelConfig, tokenizer: Tokenizer, *, digest: str, vectors: Mapping[str, Any]
) -> None:
    """Keep the vectors of the probe in a file beside the weights.

    Args:
        path: safetensors file of the model.
        digest: of its checkpoint.
        vectors: float32 (embed_dim,) for "text" and "pose".
    """
    key = np.frombuffer(_make_key(config, tokenizer, digest).encode(), dtype=np.uint8)
    try:
        write_file(_locate_record(path, config), save({**vectors, "key": key}))
    except OSError:
        log.info(
            "the weights folder is read-only, so the probe is computed at every start", extra={"model": config.name}
        )


def _locate_record(path: Path, config: ModelConfig) -> Path:
    return path.with_name(f"{config.name}.{FILE}")


def _make_key(config: ModelConfig, tokenizer: Tokenizer, digest: str) -> str:
    # The vectors also depend on the configuration and the tokenizer, which users edit without changing the weights.
    ids = make_probe_items(config, tokenizer)["text"].tolist()
    return hashlib.sha256(f"{digest} {config.vector_fields} {ids}".encode()).hexdigest()
