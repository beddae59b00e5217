"""Clips and texts compared with each other."""

from typing import Any

import numpy as np
from flask import Blueprint, Response, request

from app.access.admission import admit
from app.answers.schemas import SimilarityAnswer
from app.answers.vectors import answer_json
from app.comparison import collect_failures, collect_remarks, compare, embed_alike, leave_out_items
from app.inference import RequestVectors
from app.intake.document_clips import hold_place, prepare_document_clips, read_document, set_document_deadline
from app.intake.items import ItemRules, PreparedItems, prepare_texts
from app.intake.schemas import SimilarityRequest, locate_items
from app.reference.operations import Operation, describe
from app.services import Services
from app.telemetry import get_record
from models.catalog import ModelConfig
from search.null import DEFAULT_RATE, compute_none_probabilities, count_needed, find_none_logit

blueprint = Blueprint("similarity", __name__, url_prefix="/api")


@blueprint.post("/similarity")
@describe(
    Operation(
        summary="Compare clips with texts",
        request=SimilarityRequest,
        answer=SimilarityAnswer,
        form=True,
        statuses=(400, 401, 404, 413, 415, 422, 429, 499, 503, 504),
        description="Rows are the clips, columns the texts. dot is of raw vectors, the scores that training optimized; "
        "probabilities is its softmax over the texts. Where the model has a background, none_of_these is the "
        "probability that a clip is none of them; of clips that fit nothing, 5 % get less than one half. With one kind "
        "only, its items are compared with each other. A form holds clips as file parts named pose and video, a field "
        "named text for each text, and the options as fields.",
    )
)
@admit
def compare_items(shared: Services) -> Response:
    """Compare the clips of a request with its texts, or the items of one kind with each other.

    Raises:
        TooLargeError: texts and poses are larger than a body without videos may be.
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
        EstimatorError: the estimation of a video failed.
    """
    wanted = read_document(request, shared.settings, SimilarityRequest)
    deadline = set_document_deadline(shared.settings, wanted)
    config = shared.find_model(wanted.model_name)
    with hold_place(shared, wanted):
        return _compare(shared, config, wanted=wanted, deadline=deadline)


def _compare(shared: Services, config: ModelConfig, *, wanted: SimilarityRequest, deadline: float) -> Response:
    prepared: dict[str, PreparedItems] = {}
    pointers: dict[str, list[str]] = {}
    skip = wanted.on_error == "skip"
    # Both kinds are prepared before either is embedded: a bad pose then costs the texts no forward pass.
    if wanted.text is not None:
        texts, pointers["text"] = locate_items("text", wanted.text)
        prepared["text"] = prepare_texts(
            config,
            shared.find_tokenizer(config),
            texts,
            prompts=wanted,
            rules=ItemRules(pointers["text"], wanted.truncate, skip),
            max_chars=shared.settings.max_text_chars,
        )
    if wanted.pose is not None or wanted.video is not None:
        prepared["pose"], pointers["pose"] = prepare_document_clips(shared, config, wanted=wanted, deadline=deadline)
    record = get_record()
    record.model, record.items = config.name, sum(map(len, pointers.values()))
    vectors = embed_alike(shared, prepared, deadline=deadline, skip=skip)
    rows = "pose" if "pose" in vectors else "text"
    columns = "text" if "text" in vectors else "pose"
    scores = _score(vectors[rows], vectors[columns], between_kinds=rows != columns)
    answer = {**scores, "rows": pointers[rows], "columns": pointers[columns], "model_name": config.name}
    if rows != columns:
        answer |= _rate_none(shared, config, vectors[rows], vectors[columns])
    return answer_json(answer | collect_remarks(prepared) | collect_failures(vectors, pointers))


def _score(rows: RequestVectors, columns: RequestVectors, *, between_kinds: bool) -> dict[str, Any]:
    """Score rows against columns; skipped items have no part in the probabilities of the others."""
    kept = [column for column in range(len(columns.values)) if column not in columns.failures]
    scores = compare(rows.values, columns.values, probabilities=False)
    if between_kinds:
        shares = np.zeros_like(scores["dot"])
        if kept:
            shares[:, kept] = compare(rows.values, columns.values[kept], probabilities=True)["probabilities"]
        scores["probabilities"] = shares
    return {
        name: leave_out_items(matrix, rows=rows.failures, columns=columns.failures) for name, matrix in scores.items()
    }


def _rate_none(
    shared: Services, config: ModelConfig, clips: RequestVectors, texts: RequestVectors
) -> dict[str, list[float | None]]:
    """Compute how probable it is that a clip is none of the texts, where the model has a background."""
    background = shared.find_background(config, digest=clips.digest)
    kept = [column for column in range(len(texts.values)) if column not in texts.failures]
    if background is None or not kept or len(background.clips) < count_needed(DEFAULT_RATE):
        return {}
    columns = texts.values[kept].astype(np.float64).T
    none_logit = find_none_logit(background.clips.astype(np.float64) @ columns)
    shares = compute_none_probabilities(clips.values.astype(np.float64) @ columns, none_logit)
    return {"none_of_these": [None if row in clips.failures else share for row, share in enumerate(shares.tolist())]}
