"""Clips and texts compared with each other."""

from contextlib import nullcontext
from typing import Any

import numpy as np
from flask import Blueprint, Response, request
from pose_format import Pose

from app.access.admission import admitted, video_place
from app.answers.schemas import SimilarityAnswer
from app.answers.vectors import Floats, json_answer
from app.errors import TooLargeError
from app.inference import embed, request_deadline
from app.intake.body import read_json
from app.intake.items import (
    ItemRules,
    Prepared,
    prepare_clips,
    prepare_texts,
    read_clip,
)
from app.intake.schemas import SimilarityRequest, listed, pointers
from app.intake.validation import check_count, validate
from app.intake.videos import (
    Outcome,
    check_bytes,
    decoded,
    estimate,
    read_outcome,
    video_body_bytes,
    warnings,
)
from app.reference.operations import Operation, operation
from app.services import services
from app.telemetry import record
from engine.errors import ModelFailedError
from models.catalog import ModelConfig
from models.embedding import unit_length

# Texts and clips are embedded one after the other; this often, when the model is replaced between them.
_TRIES = 3

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
    settings = services().settings
    request.max_content_length = max_bytes = max(settings.max_body_bytes, video_body_bytes(in_json=True))
    document = read_json(request, max_bytes=max_bytes)
    wanted = validate(SimilarityRequest, document, max_items=settings.max_items)
    beside_videos = sum(len(item) for items in (wanted.text, wanted.pose) for item in listed(items or ()))
    if beside_videos > settings.max_body_bytes:
        raise TooLargeError(f"texts and poses of {beside_videos} bytes; the limit is {settings.max_body_bytes}")
    deadline = request_deadline(None if wanted.video is None else settings.video_timeout_s)
    config = services().model(wanted.model_name)
    with video_place() if wanted.video is not None else nullcontext():
        return _compare(config, wanted, deadline=deadline)


def _compare(config: ModelConfig, wanted: SimilarityRequest, *, deadline: float) -> Response:
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
            max_chars=services().settings.max_text_chars,
        )
    if wanted.pose is not None or wanted.video is not None:
        prepared["pose"], places["pose"] = _prepare_clips(config, wanted, deadline=deadline)
    facts = record()
    facts.model, facts.items = config.name, sum(map(len, places.values()))
    vectors = _embed_alike(config, prepared, deadline=deadline)
    rows = "pose" if "pose" in vectors else "text"
    columns = "text" if "text" in vectors else "pose"
    scores = compare(vectors[rows], vectors[columns], probabilities=rows != columns)
    answer = {**scores, "rows": places[rows], "columns": places[columns], "model_name": config.name}
    return json_answer(answer | _remarks(prepared))


def _prepare_clips(config: ModelConfig, wanted: SimilarityRequest, *, deadline: float) -> tuple[Prepared, list[str]]:
    """Poses as they came, then those of videos; and where each stands in the document."""
    files = listed(wanted.pose) if wanted.pose is not None else []
    places = pointers("pose", wanted.pose) if wanted.pose is not None else []
    outcomes: dict[int, Outcome] = {}
    if wanted.video is not None:
        videos = decoded(wanted.video)
        check_count(len(videos.files), max_items=services().settings.max_videos)
        check_bytes(videos)
        rules = ItemRules(videos.places, wanted.truncate)
        outcomes = estimate(videos, rules=rules, deadline=deadline, model=config)
        places = [*places, *videos.places]

    def read_item(index: int) -> Pose:
        if index < len(files):
            return read_clip(files[index])
        return read_outcome(outcomes[index - len(files)], min_seen=wanted.min_seen)

    prepared = prepare_clips(config, read_item, clips=wanted, rules=ItemRules(places, wanted.truncate))
    prepared.warnings += warnings(outcomes, places[len(files) :])
    return prepared, places


def _embed_alike(config: ModelConfig, prepared: dict[str, Prepared], *, deadline: float) -> dict[str, Floats]:
    """Embed both kinds with the same weights, though the model's files may be replaced in between.

    Raises:
        ModelFailedError: they are replaced again and again.
    """
    for _ in range(_TRIES):
        vectors = {kind: embed(config, items, skip=False, deadline=deadline) for kind, items in prepared.items()}
        if len({(found.digest, found.dtype) for found in vectors.values()}) == 1:
            return {kind: found.values for kind, found in vectors.items()}
    raise ModelFailedError(f"the weights of model {config.name!r} are being replaced")


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
