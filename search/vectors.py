"""Vectors of one space: their type, and their length."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]


def scale_to_unit(vectors: Floats) -> Float32s:
    """Scale each row of (rows, dim) to length 1, as float32. A row of zeros stays as it is."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    scaled: Float32s = (wide / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)
    return scaled


def compute_cosines(queries: Floats, candidates: Floats) -> Float64s:
    """Compute the cosine of each query (queries, dim) with each candidate (candidates, dim): (queries, candidates)."""
    product = scale_to_unit(queries).astype(np.float64) @ scale_to_unit(candidates).astype(np.float64).T
    return np.clip(product, -1.0, 1.0)


def compute_softmax(logits: Floats) -> Float64s:
    """Compute the softmax of each row of (rows, columns), in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: Float64s = powers / powers.sum(axis=1, keepdims=True)
    return shares
