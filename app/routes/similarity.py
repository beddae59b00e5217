"""Clips and texts compared with each other."""

from contextlib import nullcontext
from typing import Any

import numpy as np
from flask import Blueprint, Response, request
from pose_format import Pose

from app.access.admission import admit, hold_video_place
from app.answers.schemas import SimilarityAnswer
from app.answers.vectors import answer_json
from app.errors import TooLargeError
from app.inference import embed, set_deadline
from app.intake.body import read_json
from app.intake.clip_options import is_trimmed
from app.intake.items import ItemRules, PoseFiles, PreparedItems, prepare_clips, prepare_texts
from app.intake.schemas import SimilarityRequest, locate_items
from app.intake.validation import check_count, validate
from app.intake.videos import (
    Estimation,
    Outcome,
    collect_warnings,
    decode_videos,
    finish_estimation,
    limit_body,
    read_outcome,
)
from app.reference.operations import Operation, describe
from app.services import Services
from app.telemetry import get_record
from engine.errors import ModelFailedError
from models.catalog import ModelConfig
from models.vectors import Vectors, normalize_vectors

# Texts and clips are embedded one after the other. When the model is replaced in between, they are embedded again, up
# to this often.
_TRIES = 3

blueprint = Blueprint("similarity", __name__, url_prefix="/api")


@blueprint.post("/similarity")
@describe(
    Operation(
        summary="Compare clips with texts",
        request=SimilarityRequest,
        answer=SimilarityAnswer,
        statuses=(400, 401, 404, 413, 415, 422, 429, 499, 503, 504),
        description="Rows are the clips, columns the texts. dot is of raw vectors, the scores that training optimized; "
        "probabilities is its softmax over the texts. With one kind only, its items are compared with each other.",
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
    settings = shared.settings
    request.max_content_length = max_bytes = max(settings.max_body_bytes, limit_body(settings, in_json=True))
    document = read_json(request, max_bytes=max_bytes)
    wanted = validate(SimilarityRequest, document, max_items=settings.max_items)
    beside_videos = [items for items in (wanted.text, wanted.pose) if items is not None]
    size = sum(len(items) if isinstance(items, str) else sum(map(len, items)) for items in beside_videos)
    if size > settings.max_body_bytes:
        raise TooLargeError(f"texts and poses of {size} characters together; the limit is {settings.max_body_bytes}")
    deadline = set_deadline(settings.timeout_s if wanted.video is None else settings.video_timeout_s)
    config = shared.find_model(wanted.model_name)
    with nullcontext() if wanted.video is None else hold_video_place(shared):
        return _compare(shared, config, wanted=wanted, deadline=deadline)


def _compare(shared: Services, config: ModelConfig, *, wanted: SimilarityRequest, deadline: float) -> Response:
    prepared: dict[str, PreparedItems] = {}
    pointers: dict[str, list[str]] = {}
    # Both kinds are prepared before either is embedded: a bad pose then costs the texts no forward pass.
    if wanted.text is not None:
        texts, pointers["text"] = locate_items("text", wanted.text)
        prepared["text"] = prepare_texts(
            config,
            shared.find_tokenizer(config),
            texts,
            prompts=wanted,
            rules=ItemRules(pointers["text"], wanted.truncate),
            max_chars=shared.settings.max_text_chars,
        )
    if wanted.pose is not None or wanted.video is not None:
        prepared["pose"], pointers["pose"] = _prepare_rows(shared, config, wanted=wanted, deadline=deadline)
    record = get_record()
    record.model, record.items = config.name, sum(map(len, pointers.values()))
    vectors = _embed_alike(shared, prepared, deadline=deadline)
    rows = "pose" if "pose" in vectors else "text"
    columns = "text" if "text" in vectors else "pose"
    scores = compare(vectors[rows], vectors[columns], probabilities=rows != columns)
    answer = {**scores, "rows": pointers[rows], "columns": pointers[columns], "model_name": config.name}
    return answer_json(answer | _collect_remarks(prepared))


def _prepare_rows(
    shared: Services, config: ModelConfig, *, wanted: SimilarityRequest, deadline: float
) -> tuple[PreparedItems, list[str]]:
    """Prepare the poses of the request, then those estimated in its videos; also return the pointer to each."""
    files, pointers = locate_items("pose", wanted.pose) if wanted.pose is not None else ([], [])
    poses = PoseFiles(files, config=config, max_bytes=shared.settings.max_body_bytes)
    outcomes: dict[int, Outcome] = {}
    if wanted.video is not None:
        items, places = locate_items("video", wanted.video)
        check_count(len(items), max_items=shared.settings.max_videos)
        videos = decode_videos(items, places, settings=shared.settings)
        rules = ItemRules(places, wanted.truncate)
        # How long a clip is once it is trimmed is known when its pose is.
        limiting = None if is_trimmed(wanted, config) else config
        outcomes = finish_estimation(
            Estimation(shared.estimators, videos, rules=rules, deadline=deadline, model=limiting)
        )
        pointers = [*pointers, *places]

    def read_item(index: int) -> Pose:
        if index < len(files):
            return poses.read(index)
        return read_outcome(outcomes[index - len(files)], min_seen=wanted.min_seen)

    prepared = prepare_clips(config, read_item, clips=wanted, rules=ItemRules(pointers, wanted.truncate))
    prepared.warnings += collect_warnings(outcomes, pointers[len(files) :])
    return prepared, pointers


def _embed_alike(shared: Services, prepared: dict[str, PreparedItems], *, deadline: float) -> dict[str, Vectors]:
    """Embed both kinds with the same weights, even when the model's files are replaced in between.

    Raises:
        ModelFailedError: the files were replaced during every try.
    """
    for _ in range(_TRIES):
        vectors = {
            kind: embed(shared.engine, items, settings=shared.settings.engine, deadline=deadline)
            for kind, items in prepared.items()
        }
        if len({(found.digest, found.dtype) for found in vectors.values()}) == 1:
            return {kind: found.values for kind, found in vectors.items()}
    (name,) = {items.config.name for items in prepared.values()}
    raise ModelFailedError(f"the weights of model {name!r} are being replaced")


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


def _collect_remarks(prepared: dict[str, PreparedItems]) -> dict[str, Any]:
    """Collect the keys that only some answers have."""
    remarks: dict[str, Any] = {}
    warnings = [warning for items in prepared.values() for warning in items.warnings]
    if "text" in prepared and prepared["text"].prompts is not None:
        remarks["prompts"] = prepared["text"].prompts
    if "pose" in prepared and prepared["pose"].trimmed is not None:
        remarks["trimmed"] = prepared["pose"].trimmed
    if warnings:
        remarks["warnings"] = warnings
    return remarks
