"""Videos into .pose files, as one answer or with lines that tell how far it is; and what a .pose file holds."""

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from flask import Blueprint, Response, request, stream_with_context

from app.access.admission import admitted, admitted_with_videos
from app.answers import problems
from app.answers.schemas import EstimateAnswer, Quality
from app.answers.vectors import json_answer
from app.errors import Base64Error, InputError, ItemError, Problem, RequestError
from app.inference import request_deadline
from app.intake.body import read_clips
from app.intake.items import ItemRules, placed, read_clip, report, skipped
from app.intake.schemas import EstimateOptions, EstimateRequest, InspectOptions, InspectRequest
from app.intake.validation import validate
from app.intake.videos import (
    Estimation,
    facts,
    read_outcome,
    read_videos,
    warnings,
)
from app.reference.operations import Operation, operation
from app.services import services
from app.telemetry import record
from poses.errors import PoseError
from processes.errors import ProcessError
from video.errors import EstimatorError, VideoError
from video.estimates import Estimate
from video.interface import Progress

blueprint = Blueprint("pose", __name__, url_prefix="/api")

POSE, JSON, LINES = "application/octet-stream", "application/json", "application/x-ndjson"
# A line of progress for every frame would be more bytes than the pose.
_LINE_S = 0.25


@blueprint.post("/pose")
@operation(
    Operation(
        summary="Estimate the poses in videos",
        request=EstimateRequest,
        options=EstimateOptions,
        answer=EstimateAnswer,
        statuses=(400, 401, 413, 415, 422, 429, 499, 503, 504),
        pose=True,
        files="video",
        description="Videos come as base64 in JSON, as multipart file parts named video with the options as fields, or "
        "as one raw video/* body with the options in the query. One video is answered with the bytes of its .pose "
        "file, and with what was read of it in X-SignCLIP-Video and X-SignCLIP-Quality; several, or Accept: "
        "application/json, with JSON. With Accept: application/x-ndjson, lines with index, frames_done and "
        "frames_total (null where the video does not say) come first, then the JSON answer, or the problem, as the "
        "last line.",
    )
)
@admitted_with_videos
def estimate_pose() -> Response:
    deadline = request_deadline(services().settings.video_timeout_s)
    wanted, videos = read_videos(EstimateRequest, EstimateOptions)
    kind = _kind(len(videos.files))
    record().items = len(videos.files)
    # A file has no place for an error beside it.
    rules = ItemRules(videos.places, skip=wanted.on_error == "skip" and kind != POSE)
    estimation = Estimation(videos, rules=rules, deadline=deadline)
    if kind == LINES:
        lines = _lines(estimation, lambda: _answer(estimation, rules, min_seen=wanted.min_seen))
        response = Response(stream_with_context(lines), mimetype=LINES)
        # A stream that nobody begins to read never comes to its own end.
        response.call_on_close(estimation.close)
        return response
    try:
        for _ in estimation.events():
            pass
    finally:
        estimation.close()
    record().add("estimate", time.monotonic() - record().started)
    answer = _answer(estimation, rules, min_seen=wanted.min_seen)
    return _file(answer["poses"][0]) if kind == POSE else json_answer(answer)


@blueprint.post("/pose/inspect")
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


def _kind(videos: int) -> str:
    """The form of the answer."""
    accepted = request.accept_mimetypes
    kinds = [POSE, JSON, LINES] if videos == 1 else [JSON, LINES, POSE]
    kind = accepted.best_match(kinds, kinds[0])
    if kind == POSE and videos > 1:
        message = f"{videos} videos are no single file; accept {JSON} or {LINES}"
        raise InputError(message, problems=(Problem("/video", message),))
    return kind


def _answer(estimation: Estimation, rules: ItemRules, *, min_seen: float) -> dict[str, Any]:
    poses: list[dict[str, Any] | None] = []
    failures: dict[int, Exception] = {}
    for index, pointer in enumerate(rules.pointers):
        outcome = estimation.outcomes[index]
        try:
            pose = read_outcome(outcome, min_seen=min_seen)
        except (VideoError, EstimatorError, PoseError, ItemError) as error:
            if not rules.skip:
                raise placed(error, pointer) from error
            failures[index] = error
        if isinstance(outcome, Estimate) and index not in failures:
            file = base64.b64encode(outcome.pose).decode("ascii")
            poses.append({"pose": file, "video": facts(outcome), "quality": report(pose, None)})
        else:
            poses.append(None)
    answer: dict[str, Any] = {"poses": poses}
    remarks = warnings(estimation.outcomes, rules.pointers)
    return answer | ({"warnings": remarks} if remarks else {}) | ({"errors": skipped(failures)} if failures else {})


def _file(item: dict[str, Any]) -> Response:
    response = Response(base64.b64decode(item["pose"]), mimetype=POSE)
    response.headers["X-SignCLIP-Video"] = orjson.dumps(item["video"]).decode()
    response.headers["X-SignCLIP-Quality"] = orjson.dumps(item["quality"]).decode()
    return response


def _line(event: Progress) -> bytes:
    line = {"index": event.index, "frames_done": event.done, "frames_total": event.total}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _lines(estimation: Estimation, answer: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    """Lines of progress, then the answer or the problem; the status is out before either is known."""
    told: dict[int, float] = {}
    untold: dict[int, Progress] = {}
    try:
        for event in estimation.events():
            now = time.monotonic()
            if event.done == event.total or now - told.get(event.index, 0.0) >= _LINE_S:
                told[event.index] = now
                untold.pop(event.index, None)
                yield _line(event)
            else:
                untold[event.index] = event
        # Recordings of browsers do not say how long they are, and others err: nobody knew which frame was the last.
        yield from map(_line, untold.values())
        yield orjson.dumps(answer(), option=orjson.OPT_APPEND_NEWLINE)
    except (RequestError, ProcessError, PoseError, VideoError, EstimatorError) as error:
        yield problems.problem_response(error).get_data() + b"\n"
