"""Poses looked at, without a model."""

from flask import Blueprint, Response, request

from app.access.admission import admitted
from app.answers.schemas import Quality
from app.answers.vectors import json_answer
from app.errors import Base64Error, InputError, Problem
from app.intake.body import read_clips
from app.intake.items import placed, read_clip, report
from app.intake.schemas import InspectOptions, InspectRequest
from app.intake.validation import validate
from app.reference.operations import Operation, operation
from app.services import services
from app.telemetry import record
from poses.errors import PoseError

blueprint = Blueprint("poses", __name__, url_prefix="/api/pose")


@blueprint.post("/inspect")
@operation(
    Operation(
        summary="Report on a pose's quality",
        request=InspectRequest,
        options=InspectOptions,
        answer=Quality,
        statuses=(400, 401, 413, 415, 422, 429),
        description="What a clip holds and what about it will not embed well. One clip; for several, embed them with "
        "quality: true. No model is needed.",
    )
)
@admitted
def inspect() -> Response:
    settings = services().settings
    body = read_clips(request, "pose", max_bytes=settings.max_body_bytes, max_items=settings.max_items)
    wanted: InspectOptions
    file: str | bytes
    if body.files is None:
        wanted = checked = validate(InspectRequest, body.document, max_items=1)
        file = checked.pose
    else:
        wanted = validate(InspectOptions, body.document, max_items=1, strict=False)
        if len(body.files) != 1:
            message = f"{len(body.files)} files; one clip is inspected at a time"
            raise InputError(message, problems=(Problem("/pose", message),))
        file = body.files[0]
    record().items = 1
    try:
        return json_answer(report(read_clip(file), wanted.person))
    except (Base64Error, PoseError) as error:
        raise placed(error, "/pose") from error
