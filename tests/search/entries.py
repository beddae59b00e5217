"""Entries to fill stores with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from search.entries import Entry

SPACE = "tiny:000000000000"
DIMENSIONS = 16
LANGUAGES = ("ase", "gsg", None)


def make_vectors(count: int, *, dimensions: int = DIMENSIONS, seed: int = 0) -> npt.NDArray[np.float32]:
    """Make random vectors of length 1, float32 (count, dimensions)."""
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions))
    unit: npt.NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def make_entries(vectors: npt.NDArray[np.float32], *, prefix: str = "e") -> list[Entry]:
    """Make an entry of each vector; glosses, languages and tags repeat."""
    return [
        Entry(
            f"{prefix}{index:06d}",
            vector,
            "text" if index % 7 == 0 else "pose",
            SPACE,
            signature="tiny-0123456789ab",
            gloss=f"SIGN-{index % 10}",
            texts=(f"sign {index % 10}", "it's"),
            sign_language=LANGUAGES[index % 3],
            spoken_language="en",
            source="tests",
            tags={"signer": f"s{index % 4}", "age": index % 5, "deaf": index % 2 == 0},
        )
        for index, vector in enumerate(vectors)
    ]


def list_ids(entries: Iterable[Entry]) -> list[str]:
    """List the ids of entries in order."""
    return sorted(entry.id for entry in entries)
