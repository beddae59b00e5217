"""The origin of a vector in one short string. Vectors can be compared exactly when their signatures are equal."""

import hashlib
import json
from collections.abc import Mapping

from models.catalog import ModelConfig

# To be raised whenever the same weights would give other numbers (pooling, positions, text clean-up).
ARCHITECTURE_VERSION = 1


def compute_signature(
    config: ModelConfig, *, digest: str, dtype: str, features_version: int, options: Mapping[str, str | bool]
) -> str:
    """Compute the signature of a vector, such as `fingerspelling-9f2c41d07a3b`.

    Args:
        config: of the model.
        digest: SHA-256 of the checkpoint, hex.
        dtype: number format of the forward: "float32", "tf32", "float16" or "bfloat16".
        features_version: of the pose features the model takes.
        options: the options that change a vector (normalize, flip, anonymize). The caller leaves defaults out.
    """
    facts = {
        "architecture": ARCHITECTURE_VERSION,
        "digest": digest,
        "dtype": dtype,
        "features_version": features_version,
        "model": config.vector_fields,
        "options": dict(sorted(options.items())),
    }
    packed = json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    return f"{config.name}-{hashlib.sha256(packed).hexdigest()[:12]}"
