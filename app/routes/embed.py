"""Texts, poses and videos to vectors."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
from flask import Blueprint, Response, request

from app.access.admission import admit, admit_with_videos
from app.answers.failures import list_failures
from app.answers.schemas import EmbedAnswer
from app.answers.vectors import answer_json, answer_npy, encode_rows, wants_npy
from app.inference import RequestVectors, embed, set_deadline
from app.intake.body import read_json
from app.intake.clip_options import is_trimmed
from app.intake.clips import read_clips
from app.intake.items import (
    ItemRules,
    PoseFiles,
    PreparedItems,
    prepare_clips,
    prepare_texts,
)
from app.intake.schemas import (
    EmbedOptions,
    PoseOptions,
    PoseRequest,
    TextRequest,
    VideoOptions,
    VideoRequest,
    locate_items,
)
from app.intake.validation import validate
from app.intake.videos import (
    Estimation,
    collect_warnings,
    describe_video,
    finish_estimation,
    pack_pose,
    read_outcome,
    read_videos,
)
from app.reference.operations import Operation, describe
from app.services import Services
from app.telemetry import get_record
from models.catalog import ModelConfig
from models.vectors import normalize_vectors

blueprint = Blueprint("embed", __name__, url_prefix="/api/embed")

_STATUSES = (400, 401, 404, 413, 415, 422, 429, 499, 503, 504)


@blueprint.route("/text", methods=["POST", "GET"])
@describe(
    Operation(
        summary="Embed texts",
        request=TextRequest,
        answer=EmbedAnswer,
        statuses=_STATUSES,
        npy=True,
        description="With sign_language, texts are written as the prompts the model was trained with. GET with a JSON "
        "body does the same, for clients of the original service. Browsers and some proxies drop such bodies.",
    )
)
@admit
def embed_text(shared: Services) -> Response:
    """Embed the texts of a request.

    Raises:
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
    """
    settings = shared.settings
    deadline = set_deadline(settings.timeout_s)
    document = read_json(request, max_bytes=settings.max_body_bytes)
    wanted = validate(TextRequest, document, max_items=settings.max_texts)
    config = shared.find_model(wanted.model_name)
    texts, pointers = locate_items("text", wanted.text)
    _record(config, len(texts))
    prepared = prepare_texts(
        config,
        shared.find_tokenizer(config),
        texts,
        prompts=wanted,
        rules=ItemRules(pointers, wanted.truncate, wanted.on_error == "skip"),
        max_chars=settings.max_text_chars,
    )
    return _answer(shared, prepared, wanted=wanted, deadline=deadline)


@blueprint.route("/pose", methods=["POST", "GET"])
@describe(
    Operation(
        summary="Embed poses",
        request=PoseRequest,
        options=PoseOptions,
        answer=EmbedAnswer,
        statuses=_STATUSES,
        npy=True,
        description="Poses are sent as base64 in JSON, as multipart file parts named pose with the options as fields, "
        "or as one raw .pose body with the options in the query. They may be packed (.pose.gz, .pose.zst). GET with a "
        "JSON body does the same as POST.",
    )
)
@admit
def embed_pose(shared: Services) -> Response:
    """Embed the poses of a request.

    Raises:
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
    """
    settings = shared.settings
    deadline = set_deadline(settings.timeout_s)
    clips = read_clips(
        request,
        "pose",
        whole=PoseRequest,
        options=PoseOptions,
        max_bytes=settings.max_body_bytes,
        max_items=settings.max_items,
    )
    wanted = clips.options
    config = shared.find_model(wanted.model_name)
    _record(config, len(clips.items))
    prepared = prepare_clips(
        config,
        PoseFiles(clips.items, config=config, max_bytes=settings.max_body_bytes).read,
        clips=wanted,
        rules=ItemRules(clips.pointers, wanted.truncate, wanted.on_error == "skip"),
        with_quality=wanted.quality,
    )
    return _answer(shared, prepared, wanted=wanted, deadline=deadline)


@blueprint.post("/video")
@describe(
    Operation(
        summary="Embed videos",
        request=VideoRequest,
        options=VideoOptions,
        answer=EmbedAnswer,
        statuses=_STATUSES,
        npy=True,
        files="video",
        description="Videos are sent as base64 in JSON, as multipart file parts named video with the options as "
        "fields, or as one raw video/* body with the options in the query. Their poses are estimated as the authors "
        "did, then embedded as by /api/embed/pose, to the same vectors.",
    )
)
@admit_with_videos
def embed_video(shared: Services) -> Response:
    """Estimate the poses in the videos of a request, and embed them.

    Raises:
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
        EstimatorError: the estimation of a video failed.
    """
    settings = shared.settings
    deadline = set_deadline(settings.video_timeout_s)
    wanted, videos = read_videos(request, settings, whole=VideoRequest, options=VideoOptions)
    config = shared.find_model(wanted.model_name)
    _record(config, len(videos.files))
    rules = ItemRules(videos.pointers, wanted.truncate, wanted.on_error == "skip")
    # How long a clip is once it is trimmed is known when its pose is.
    limiting = None if is_trimmed(wanted, config) else config
    outcomes = finish_estimation(Estimation(shared.estimators, videos, rules=rules, deadline=deadline, model=limiting))
    prepared = prepare_clips(
        config,
        lambda index: read_outcome(outcomes[index], min_seen=wanted.min_seen),
        clips=wanted,
        rules=rules,
        with_quality=True,
    )
    prepared.warnings += collect_warnings(outcomes, videos.pointers)
    in_order = [outcomes[index] for index in range(len(videos.files))]
    more: dict[str, Any] = {"video": [describe_video(outcome) for outcome in in_order]}
    if wanted.return_pose:
        more["pose"] = [pack_pose(outcome) for outcome in in_order]
    return _answer(shared, prepared, wanted=wanted, deadline=deadline, more=more)


def _record(config: ModelConfig, items: int) -> None:
    record = get_record()
    record.model, record.items = config.name, items


def _answer(
    shared: Services,
    prepared: PreparedItems,
    *,
    wanted: EmbedOptions,
    deadline: float,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Response:
    """Embed prepared items and write the answer in the form that the client asked for.

    Args:
        more: keys that this route adds to a JSON answer.
    """
    config = prepared.config
    vectors = embed(
        shared.engine, prepared, settings=shared.settings.engine, deadline=deadline, skip=wanted.on_error == "skip"
    )
    options = prepared.options | ({} if wanted.normalize else {"normalize": False})
    origin = shared.describe_origin(config, options, digest=vectors.digest, dtype=vectors.dtype)
    values = normalize_vectors(vectors.values) if wanted.normalize else vectors.values
    if wants_npy(request):
        headers = {
            "X-SignCLIP-Model": config.name,
            "X-SignCLIP-Signature": origin["signature"] or "",
            "X-SignCLIP-Space": origin["space"] or "",
        }
        if prepared.trimmed is not None:
            headers["X-SignCLIP-Trimmed"] = orjson.dumps(prepared.trimmed).decode()
        return answer_npy(values, left_out=vectors.failures, headers=headers)
    answer: dict[str, Any] = {
        "embeddings": encode_rows(values, wanted.encoding_format, left_out=vectors.failures),
        "model_name": config.name,
        "dimensions": config.embed_dim,
        "normalized": wanted.normalize,
        **origin,
    }
    return answer_json({**answer, **_collect_remarks(prepared, vectors), **more})


def _collect_remarks(prepared: PreparedItems, vectors: RequestVectors) -> dict[str, Any]:
    """Collect the keys that only some answers have."""
    remarks: dict[str, Any] = {}
    if prepared.prompts is not None:
        remarks["prompts"] = prepared.prompts
    if prepared.quality is not None:
        remarks["quality"] = prepared.quality
    if prepared.trimmed is not None:
        remarks["trimmed"] = prepared.trimmed
    if prepared.warnings:
        remarks["warnings"] = prepared.warnings
    if vectors.failures:
        remarks["errors"] = list_failures(vectors.failures)
    return remarks
