"""Clips and texts compared with each other."""

from typing import Any

import numpy as np
from flask import Blueprint, Response, request

from app.access import admitted
from app.answers import SimilarityAnswer
from app.body import read_json
from app.inference import embed, request_deadline
from app.operations import Operation, operation
from app.preparation import ItemRules, Prepared, prepare_poses, prepare_texts
from app.schemas import SimilarityRequest, listed, pointers
from app.services import services
from app.telemetry import record
from app.validation import validate
from app.vectors import Floats, json_answer
from models.embedding import unit_length

blueprint = Blueprint("similarity", __name__, url_prefix="/api")


@blueprint.post("/similarity")
@operation(
    Operation(
        summary="Compare clips with texts",
        request=SimilarityRequest,
        answer=SimilarityAnswer,
        statuses=(400, 401, 404, 413, 415, 422, 429, 499, 503, 504),
        description="Rows are the clips, columns the texts. dot is of raw vectors, the scores that training optimized; "
        "probabilities is its softmax over the texts. With one kind only, its items are compared with each other.",
    )
)
@admitted
def similarity() -> Response:
    deadline = request_deadline()
    settings = services().settings
    document = read_json(request, max_bytes=settings.max_body_bytes)
    wanted = validate(SimilarityRequest, document, max_items=settings.max_items)
    config = services().model(wanted.model_name)
    prepared: dict[str, Prepared] = {}
    places: dict[str, list[str]] = {}
    # Both kinds are prepared before either is embedded: a bad pose costs its texts no forward.
    if wanted.text is not None:
        places["text"] = pointers("text", wanted.text)
        prepared["text"] = prepare_texts(
            config,
            services().tokenizer(config),
            listed(wanted.text),
            prompts=wanted,
            rules=ItemRules(places["text"], wanted.truncate),
            max_chars=settings.max_text_chars,
        )
    if wanted.pose is not None:
        places["pose"] = pointers("pose", wanted.pose)
        rules = ItemRules(places["pose"], wanted.truncate)
        prepared["pose"] = prepare_poses(config, listed(wanted.pose), clips=wanted, rules=rules)
    facts = record()
    facts.model, facts.items = config.name, sum(map(len, places.values()))
    vectors = {kind: embed(config, items, skip=False, deadline=deadline).values for kind, items in prepared.items()}
    rows = "pose" if "pose" in vectors else "text"
    columns = "text" if "text" in vectors else "pose"
    scores = compare(vectors[rows], vectors[columns], probabilities=rows != columns)
    answer = {**scores, "rows": places[rows], "columns": places[columns], "model_name": config.name}
    return json_answer(answer | _remarks(prepared))


def compare(rows: Floats, columns: Floats, *, probabilities: bool) -> dict[str, Floats]:
    """Score every row against every column.

    Args:
        rows: float32 (rows, embed_dim), raw.
        columns: float32 (columns, embed_dim), raw.
        probabilities: also the softmax of the dot products along each row.
    Returns:
        float32 (rows, columns) each: cosine, dot, and probabilities if wanted.
    """
    dot = rows.astype(np.float64) @ columns.astype(np.float64).T
    scores = {"cosine": np.clip(unit_length(rows) @ unit_length(columns).T, -1, 1), "dot": dot.astype(np.float32)}
    if probabilities:
        powers = np.exp(dot - dot.max(axis=1, keepdims=True))
        scores["probabilities"] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return {name: np.ascontiguousarray(score) for name, score in scores.items()}


def _remarks(prepared: dict[str, Prepared]) -> dict[str, Any]:
    """Keys that only some answers have."""
    remarks: dict[str, Any] = {}
    warnings = [warning for items in prepared.values() for warning in items.warnings]
    if "text" in prepared and prepared["text"].prompts is not None:
        remarks["prompts"] = prepared["text"].prompts
    if warnings:
        remarks["warnings"] = warnings
    return remarks
