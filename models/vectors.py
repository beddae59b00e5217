"""Vectors: their type, their length and how far they lie apart."""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]  # (items, embed_dim)


def normalize_vectors(vectors: Vectors) -> Vectors:
    """Scale each row of float32 (rows, dim) to length 1. A row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)
    return scaled


def measure_error(got: Vectors, expected: Vectors) -> float:
    """Measure the largest difference as a share of the largest expected value.

    Args:
        got, expected: float32, of one shape.
    Returns:
        The share; infinite if a value of either is not finite.
    """
    if not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return float("inf")
    return float(np.abs(got - expected).max() / np.abs(expected).max())
