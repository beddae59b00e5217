"""Videos into .pose files, as one answer or with lines that tell how far it is."""

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from flask import Blueprint, Response, request, stream_with_context

from app import problems
from app.access import admitted_with_videos
from app.answers import EstimateAnswer
from app.errors import InputError, ItemError, Problem
from app.estimation import Estimation, Videos, facts, read_outcome, read_videos, warnings
from app.inference import request_deadline
from app.operations import Operation, operation
from app.preparation import ItemRules, placed, report, skipped
from app.schemas import EstimateOptions, EstimateRequest
from app.services import services
from app.telemetry import record
from app.vectors import json_answer
from poses.estimates import Estimate
from poses.errors import PoseError
from poses.video_errors import EstimatorError, VideoError

blueprint = Blueprint("estimate", __name__, url_prefix="/api")

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
        "frames_total come first, then the JSON answer, or the problem, as the last line.",
    )
)
@admitted_with_videos
def estimate_pose() -> Response:
    deadline = request_deadline(services().settings.video_timeout_s)
    wanted, videos = read_videos(EstimateRequest, EstimateOptions)
    kind = _kind(len(videos.files))
    record().items = len(videos.files)
    rules = ItemRules(videos.places, skip=wanted.on_error == "skip")
    estimation = Estimation(videos, rules=rules, deadline=deadline)
    give = lambda: _answer(estimation, videos, wanted, rules)  # noqa: E731
    if kind == LINES:
        return _stream(estimation, give)
    try:
        for _ in estimation.events():
            pass
    finally:
        estimation.close()
    record().add("estimate", time.monotonic() - record().started)
    answer = give()
    return json_answer(answer) if kind == JSON else _file(answer["poses"][0])
