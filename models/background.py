"""The background of a model: vectors of clips and texts that are nothing anybody looks for.

It lies beside the weights as `<name>.null.safetensors`. Its tensors are `clips` and `texts`, float32 (rows, embed_dim),
raw. Its header's metadata has `format`, the `digest` of the checkpoint that made the vectors, and `about`, a sentence
on where the clips and texts come from. Nothing in the file is executed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from models.catalog import ModelConfig
from models.checkpoints.folders import WeightsFolder, read_safetensors_header
from models.errors import BackgroundError, CheckpointFormatError
from models.vectors import Vectors
from processes.files import write_file

FILE = "null.safetensors"
FORMAT = "signclip-null-1"
_TENSORS = ("clips", "texts")


@dataclass(frozen=True, eq=False)
class Background:
    """What a model makes of clips and texts that fit nothing.

    Attributes:
        clips: float32 (clips, embed_dim), raw.
        texts: float32 (texts, embed_dim), raw; may have no rows.
        digest: SHA-256 of the checkpoint that made them, hex.
        about: one sentence on where they come from.
    """

    clips: Vectors
    texts: Vectors
    digest: str
    about: str


def locate_background(weights: WeightsFolder, config: ModelConfig) -> Path:
    """Return the path of a model's background, whether or not it exists."""
    return weights.locate_folder(config) / f"{config.name}.{FILE}"


def write_background(path: Path, background: Background) -> None:
    """Write a background whole or not at all.

    Raises:
        OSError: the folder cannot be written to.
    """
    tensors = {
        name: np.ascontiguousarray(rows, dtype=np.float32)
        for name, rows in zip(_TENSORS, (background.clips, background.texts), strict=True)
    }
    write_file(path, save(tensors, {"format": FORMAT, "digest": background.digest, "about": background.about}))


def read_background(path: Path, *, embed_dim: int) -> Background:
    """Read a background.

    Args:
        embed_dim: of the model.
    Raises:
        BackgroundError: the file is damaged, of another form, or of a model with other dimensions.
        OSError: the file cannot be read.
    """
    again = "make it anew with `python -m dictionary calibrate`"
    try:
        header = read_safetensors_header(path)
        with safe_open(path, framework="numpy") as file:
            # Of other number formats NumPy lacks some, and fails on them with errors of many kinds.
            tensors = {name: file.get_tensor(name) for name in _TENSORS if header.get(name, {}).get("dtype") == "F32"}
    except (CheckpointFormatError, SafetensorError) as error:
        raise BackgroundError(f"{path.name} cannot be read ({error}); {again}") from error
    facts = header.get("__metadata__") or {}
    if facts.get("format") != FORMAT:
        raise BackgroundError(f"{path.name} has format {facts.get('format')!r}; {FORMAT!r} is read; {again}")
    for name in _TENSORS:
        rows = tensors.get(name)
        if rows is None or rows.ndim != 2 or rows.shape[1] != embed_dim:
            raise BackgroundError(f"{path.name} has no {name} of {embed_dim} float32 numbers each; {again}")
        if not np.isfinite(rows).all():
            raise BackgroundError(f"{path.name} has {name} that are not finite; {again}")
    return Background(tensors["clips"], tensors["texts"], str(facts.get("digest", "")), str(facts.get("about", "")))
