"""Items of both kinds, embedded with the same weights and compared with each other."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from app.answers.failures import list_failures
from app.inference import RequestVectors, embed
from app.intake.items import PreparedItems
from app.services import Services
from engine.errors import ModelFailedError
from models.vectors import Vectors, normalize_vectors

# Texts and clips are embedded one after the other. When the model is replaced in between, they are embedded again, up
# to this often.
_TRIES = 3


def embed_alike(
    shared: Services, prepared: Mapping[str, PreparedItems], *, deadline: float, skip: bool = False
) -> dict[str, RequestVectors]:
    """Embed several groups of items with the same weights, even when the model's files are replaced in between.

    Args:
        prepared: the groups, by any names.
        deadline: in seconds of time.monotonic().
        skip: leave out items that fail; False: the first item that fails ends the request.
    Raises:
        ModelFailedError: the files were replaced during every try.
        ProcessError, ModelsError, ItemFailedError: see app.inference.embed.
    """
    for _ in range(_TRIES):
        vectors = {
            kind: embed(shared.engine, items, settings=shared.settings.engine, deadline=deadline, skip=skip)
            for kind, items in prepared.items()
        }
        # Groups of which every item is skipped were made by no weights.
        if len({(found.digest, found.dtype) for found in vectors.values() if found.digest is not None}) <= 1:
            return vectors
    (name,) = {items.config.name for items in prepared.values()}
    raise ModelFailedError(f"the weights of model {name!r} are being replaced")


def find_digest(vectors: Mapping[str, RequestVectors]) -> str | None:
    """Find which checkpoint made the vectors, hex; None when nothing was computed."""
    return next((found.digest for found in vectors.values() if found.digest is not None), None)


def compare(rows: Vectors, columns: Vectors, *, probabilities: bool) -> dict[str, Vectors]:
    """Score every row against every column.

    Args:
        rows: float32 (rows, embed_dim), raw.
        columns: float32 (columns, embed_dim), raw.
        probabilities: also compute the softmax of the dot products along each row.
    Returns:
        float32 (rows, columns) each: cosine, dot, and probabilities if wanted.
    """
    dot = rows.astype(np.float64) @ columns.astype(np.float64).T
    scores = {
        "cosine": np.clip(normalize_vectors(rows) @ normalize_vectors(columns).T, -1, 1),
        "dot": dot.astype(np.float32),
    }
    if probabilities:
        powers = np.exp(dot - dot.max(axis=1, keepdims=True))
        scores["probabilities"] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return {name: np.ascontiguousarray(score) for name, score in scores.items()}


def leave_out_items(scores: Vectors, *, rows: Collection[int], columns: Collection[int]) -> Any:
    """Write scores (rows, columns) as JSON has them, null where an item was skipped."""
    if not rows and not columns:
        return scores
    return [
        None if row in rows else [None if column in columns else score for column, score in enumerate(line)]
        for row, line in enumerate(scores.tolist())
    ]


def collect_remarks(prepared: Mapping[str, PreparedItems]) -> dict[str, Any]:
    """Collect the keys that only some answers have: prompts, what was trimmed, and warnings."""
    remarks: dict[str, Any] = {}
    warnings = [warning for items in prepared.values() for warning in items.warnings]
    if "text" in prepared and prepared["text"].prompts is not None:
        remarks["prompts"] = prepared["text"].prompts
    if "pose" in prepared and prepared["pose"].trimmed is not None:
        remarks["trimmed"] = prepared["pose"].trimmed
    if warnings:
        remarks["warnings"] = warnings
    return remarks


def collect_failures(
    vectors: Mapping[str, RequestVectors], pointers: Mapping[str, list[str]]
) -> dict[str, list[dict[str, Any]]]:
    """Collect the entry `errors` of an answer; it is left out when no item was skipped."""
    errors = [
        {**failure, "pointer": pointers[kind][failure["index"]]}
        for kind, found in vectors.items()
        for failure in list_failures(found.failures)
    ]
    return {"errors": errors} if errors else {}
