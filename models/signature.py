"""The origin of a vector in two short strings: its signature says how it was made, its space what it compares with."""

import hashlib
import json
from collections.abc import Mapping

from models.catalog import ModelConfig

# To be raised whenever the same weights would give other numbers (pooling, positions, text clean-up).
ARCHITECTURE_VERSION = 1


# Fields of a model that bound or scale its inputs and outputs, or say what is done to clips by default. They do not
# move one vector away from another.
_FIELDS_OF_NO_SPACE = ("max_frames", "max_tokens", "logit_scale", "trim")


def compute_space(config: ModelConfig, *, digest: str, features_version: int) -> str:
    """Compute the space of a model's vectors, such as `fingerspelling:4d07a3b9f2c1`.

    Vectors may be compared when their spaces are equal: texts and clips of one model share a space, whatever the number
    format of the forward pass, the options of the clips and the tool that estimated their poses.

    Args:
        digest: SHA-256 of the checkpoint, hex.
        features_version: of the pose features the model takes.
    """
    facts = {
        "architecture": ARCHITECTURE_VERSION,
        "digest": digest,
        "features_version": features_version,
        "model": {name: value for name, value in config.vector_fields.items() if name not in _FIELDS_OF_NO_SPACE},
    }
    return f"{config.name}:{_digest_facts(facts)}"


def compute_signature(
    config: ModelConfig, *, digest: str, dtype: str, features_version: int, options: Mapping[str, str | bool]
) -> str:
    """Compute the signature of a vector, such as `fingerspelling-9f2c41d07a3b`.

    Args:
        config: of the model.
        digest: SHA-256 of the checkpoint, hex.
        dtype: number format of the forward: "float32", "tf32", "float16" or "bfloat16".
        features_version: of the pose features the model takes.
        options: the options that change a vector (normalize, flip, anonymize, trim). The caller leaves defaults out.
    """
    facts = {
        "architecture": ARCHITECTURE_VERSION,
        "digest": digest,
        "dtype": dtype,
        "features_version": features_version,
        "model": config.vector_fields,
        "options": dict(sorted(options.items())),
    }
    return f"{config.name}-{_digest_facts(facts)}"


def list_unusual_options(config: ModelConfig, *, flip: str, anonymize: bool, trim: str | None) -> dict[str, str | bool]:
    """List the options of clips that change vectors and are not at the model's default, for `compute_signature`.

    Args:
        trim: None: as the model does by default.
    """
    options: dict[str, str | bool] = {} if flip == "never" else {"flip": flip}
    if anonymize:
        options["anonymize"] = True
    if trim is not None and trim != config.trim:
        options["trim"] = trim
    return options


def _digest_facts(facts: Mapping[str, object]) -> str:
    packed = json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(packed).hexdigest()[:12]
