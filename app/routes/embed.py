"""Texts and poses to vectors."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Blueprint, Response, request

from app.access.admission import admitted, admitted_with_videos
from app.answers.schemas import EmbedAnswer
from app.answers.vectors import (
    NPY,
    encoded,
    json_answer,
    npy_answer,
)
from app.inference import Vectors, embed, request_deadline
from app.intake.body import read_clips, read_json
from app.intake.items import (
    ItemRules,
    Prepared,
    prepare_clips,
    prepare_poses,
    prepare_texts,
    skipped,
)
from app.intake.schemas import (
    EmbedOptions,
    PoseOptions,
    PoseRequest,
    TextRequest,
    VideoOptions,
    VideoRequest,
    listed,
    pointers,
)
from app.intake.validation import check_count, validate
from app.intake.videos import (
    estimate,
    facts,
    pose_base64,
    read_outcome,
    read_videos,
    warnings,
)
from app.reference.operations import Operation, operation
from app.services import services
from app.telemetry import record
from models.catalog import ModelConfig
from models.embedding import unit_length

blueprint = Blueprint("embed", __name__, url_prefix="/api/embed")

_STATUSES = (400, 401, 404, 413, 415, 422, 429, 499, 503, 504)


@blueprint.route("/text", methods=["POST", "GET"])
@operation(
    Operation(
        summary="Embed texts",
        request=TextRequest,
        answer=EmbedAnswer,
        statuses=_STATUSES,
        npy=True,
        description="With sign_language, texts are written as the prompts the model was trained with. GET with a JSON "
        "body does the same, for clients of the original service; browsers and some proxies drop such bodies.",
    )
)
@admitted
def embed_text() -> Response:
    deadline = request_deadline()
    settings = services().settings
    document = read_json(request, max_bytes=settings.max_body_bytes)
    wanted = validate(TextRequest, document, max_items=settings.max_items)
    config = services().model(wanted.model_name)
    texts = listed(wanted.text)
    _note(config, len(texts))
    prepared = prepare_texts(
        config,
        services().tokenizer(config),
        texts,
        prompts=wanted,
        rules=ItemRules(pointers("text", wanted.text), wanted.truncate, wanted.on_error == "skip"),
        max_chars=settings.max_text_chars,
    )
    return _answer(config, prepared, wanted, deadline=deadline)


@blueprint.route("/pose", methods=["POST", "GET"])
@operation(
    Operation(
        summary="Embed poses",
        request=PoseRequest,
        options=PoseOptions,
        answer=EmbedAnswer,
        statuses=_STATUSES,
        npy=True,
        description="Poses come as base64 in JSON, as multipart file parts named pose with the options as fields, or "
        "as one raw .pose body with the options in the query. GET with a JSON body does the same as POST.",
    )
)
@admitted
def embed_pose() -> Response:
    deadline = request_deadline()
    settings = services().settings
    body = read_clips(request, "pose", max_bytes=settings.max_body_bytes, max_items=settings.max_items)
    wanted: PoseOptions
    files: list[str] | list[bytes]
    if body.files is None:
        wanted = checked = validate(PoseRequest, body.document, max_items=settings.max_items)
        files, places = list(listed(checked.pose)), pointers("pose", checked.pose)
    else:
        check_count(len(body.files), max_items=settings.max_items)
        wanted = validate(PoseOptions, body.document, max_items=settings.max_items, strict=False)
        files = list(body.files)
        places = pointers("pose", files)
    config = services().model(wanted.model_name)
    _note(config, len(files))
    rules = ItemRules(places, wanted.truncate, wanted.on_error == "skip")
    prepared = prepare_poses(config, files, clips=wanted, rules=rules, with_quality=wanted.quality)
    return _answer(config, prepared, wanted, deadline=deadline)


@blueprint.post("/video")
@operation(
    Operation(
        summary="Embed videos",
        request=VideoRequest,
        options=VideoOptions,
        answer=EmbedAnswer,
        statuses=_STATUSES,
        npy=True,
        files="video",
        description="Videos come as base64 in JSON, as multipart file parts named video with the options as fields, or "
        "as one raw video/* body with the options in the query. Their poses are estimated as the authors did, then "
        "embedded as by /api/embed/pose, to the same vectors.",
    )
)
@admitted_with_videos
def embed_video() -> Response:
    deadline = request_deadline(services().settings.video_timeout_s)
    wanted, videos = read_videos(VideoRequest, VideoOptions)
    config = services().model(wanted.model_name)
    _note(config, len(videos.places))
    rules = ItemRules(videos.places, wanted.truncate, wanted.on_error == "skip")
    outcomes = estimate(videos, rules=rules, deadline=deadline, model=config)
    prepared = prepare_clips(
        config,
        lambda index: read_outcome(outcomes[index], min_seen=wanted.min_seen),
        clips=wanted,
        rules=rules,
        with_quality=True,
    )
    prepared.warnings += warnings(outcomes, videos.places)
    estimates = [outcomes[index] for index in range(len(videos.places))]
    more: dict[str, Any] = {"video": [facts(outcome) for outcome in estimates]}
    if wanted.return_pose:
        more["pose"] = [pose_base64(outcome) for outcome in estimates]
    return _answer(config, prepared, wanted, deadline=deadline, more=more)


def _note(config: ModelConfig, items: int) -> None:
    facts = record()
    facts.model, facts.items = config.name, items


def _answer(
    config: ModelConfig,
    prepared: Prepared,
    wanted: EmbedOptions,
    *,
    deadline: float,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Response:
    """Embed what was prepared and write the answer in the form the client asked for, with more keys if given."""
    vectors = embed(config, prepared, skip=wanted.on_error == "skip", deadline=deadline)
    options = prepared.options | ({} if wanted.normalize else {"normalize": False})
    signature = services().signature(config, options, digest=vectors.digest, dtype=vectors.dtype)
    values = unit_length(vectors.values) if wanted.normalize else vectors.values
    if request.accept_mimetypes.best_match(["application/json", NPY]) == NPY:
        headers = {"X-SignCLIP-Model": config.name, "X-SignCLIP-Signature": signature or ""}
        return npy_answer(values, left_out=vectors.failures, headers=headers)
    answer: dict[str, Any] = {
        "embeddings": encoded(values, wanted.encoding_format, left_out=vectors.failures),
        "model_name": config.name,
        "dimensions": config.embed_dim,
        "normalized": wanted.normalize,
        "signature": signature,
    }
    return json_answer({**answer, **_remarks(prepared, vectors), **more})


def _remarks(prepared: Prepared, vectors: Vectors) -> dict[str, Any]:
    """Keys that only some answers have."""
    warnings = list(prepared.warnings)
    remarks: dict[str, Any] = {}
    if prepared.prompts is not None:
        remarks["prompts"] = prepared.prompts
    if prepared.quality is not None:
        remarks["quality"] = prepared.quality
    if warnings:
        remarks["warnings"] = warnings
    if vectors.failures:
        remarks["errors"] = skipped(vectors.failures)
    return remarks
