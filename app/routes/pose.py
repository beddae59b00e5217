"""Videos to .pose files, as one answer or as lines of progress; and a report on what a .pose file holds."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pybase64
from flask import Blueprint, Response, request
from pose_format import Pose

from app.access.admission import admit, admit_with_videos
from app.answers import problems
from app.answers.failures import list_failures
from app.answers.lines import answer_lines
from app.answers.schemas import EstimationAnswer, Inspection
from app.answers.vectors import answer_json
from app.errors import Base64Error, InputError, ItemError, Problem, RequestError
from app.inference import set_deadline
from app.intake.clips import read_clips
from app.intake.items import ItemRules, PoseFiles, locate_error, report_quality
from app.intake.schemas import EstimationOptions, EstimationRequest, InspectOptions, InspectRequest
from app.intake.videos import (
    Estimation,
    Outcome,
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
from poses.errors import PoseError
from poses.feature_kinds import FEATURE_KINDS
from poses.features import find_layout_lacks
from poses.layouts import recognize_layout
from poses.points import make_layout_key
from processes.errors import ProcessError
from video.errors import EstimatorError, VideoError
from video.interface import Progress

blueprint = Blueprint("pose", __name__, url_prefix="/api")

POSE, JSON, LINES = "application/octet-stream", "application/json", "application/x-ndjson"
# A line for every frame would be more bytes than the pose.
_LINE_S = 0.25


@blueprint.post("/pose")
@describe(
    Operation(
        summary="Estimate the poses in videos",
        request=EstimationRequest,
        options=EstimationOptions,
        answer=EstimationAnswer,
        statuses=(400, 401, 413, 415, 422, 429, 499, 503, 504),
        pose=True,
        files="video",
        description="Videos are sent as base64 in JSON, as multipart file parts named video with the options as "
        "fields, or as one raw video/* body with the options in the query. One video is answered with the bytes of its "
        ".pose file, and with what was read of it in X-SignCLIP-Video and X-SignCLIP-Quality. Several videos, or "
        "Accept: application/json, are answered with JSON. With Accept: application/x-ndjson, lines with index, "
        "frames_done and frames_total (null where the video does not say) come first. The last line is the JSON "
        "answer, or the problem.",
    )
)
@admit_with_videos
def estimate_pose(shared: Services) -> Response:
    """Estimate the poses in the videos of a request.

    Raises:
        RequestError: the request is refused, or a video of it.
        ProcessError, EstimatorError: the estimators are full or stopped, or the estimation of a video failed.
    """
    deadline = set_deadline(shared.settings.video_timeout_s)
    wanted, videos = read_videos(request, shared.settings, whole=EstimationRequest, options=EstimationOptions)
    kind = _choose_kind(len(videos.files))
    get_record().items = len(videos.files)
    # A .pose file has no place for an error beside it.
    rules = ItemRules(videos.pointers, skip=wanted.on_error == "skip" and kind != POSE)
    estimation = Estimation(shared.estimators, videos, rules=rules, deadline=deadline)
    if kind == LINES:
        lines = _write_lines(
            estimation, lambda: _build_answer(estimation.outcomes, rules=rules, min_seen=wanted.min_seen)
        )
        return answer_lines(lines, on_close=estimation.close)
    answer = _build_answer(finish_estimation(estimation), rules=rules, min_seen=wanted.min_seen)
    return _answer_file(answer["poses"][0]) if kind == POSE else answer_json(answer)


@blueprint.post("/pose/inspect")
@describe(
    Operation(
        summary="Report on a pose's quality",
        request=InspectRequest,
        options=InspectOptions,
        answer=Inspection,
        statuses=(400, 401, 413, 415, 422, 429),
        description="What a clip holds, what about it will not embed well, and which models take its layout. One clip "
        "is inspected; for several, embed them with quality: true. No model is needed.",
    )
)
@admit
def inspect_pose(shared: Services) -> Response:
    """Report on the quality of one pose, and on the models that can embed it.

    Raises:
        InputError: the request has several files.
        ItemError: the pose cannot be used.
        RequestError: the request is refused.
    """
    settings = shared.settings
    clips = read_clips(
        request,
        "pose",
        whole=InspectRequest,
        options=InspectOptions,
        max_bytes=settings.max_body_bytes,
        max_items=settings.max_items,
    )
    if len(clips.items) != 1:
        message = f"{len(clips.items)} files; one clip is inspected at a time"
        raise InputError(message, problems=(Problem("/pose", message),))
    get_record().items = 1
    try:
        pose = PoseFiles(clips.items, max_bytes=settings.max_body_bytes).read(0)
        return answer_json(report_quality(pose, clips.options.person) | _find_models(shared, pose))
    except (Base64Error, PoseError) as error:
        raise locate_error(error, "/pose") from error


def _find_models(shared: Services, pose: Pose) -> dict[str, Any]:
    """Find the models that take a pose's layout, what the others lack, and what to do about it."""
    layout = recognize_layout(make_layout_key(pose.header))
    kinds = {name: config.features for name, config in shared.catalog.items()}
    # Another kind is that of a video network: such a model embeds texts here, and no pose of any layout.
    lacks = {kind: find_layout_lacks(pose.header, kind) for kind in kinds.values() if kind in FEATURE_KINDS}
    models = {
        name: lacks.get(kind, f"its features, {kind!r}, are not computed from poses here")
        for name, kind in kinds.items()
    }
    found: dict[str, Any] = {"layout": layout.name, "models": models}
    return found | {"advice": layout.advice} if any(lacks.values()) else found


def _choose_kind(videos: int) -> str:
    """Choose the form of the answer from what the client accepts."""
    accepted = request.accept_mimetypes
    kinds = [POSE, JSON, LINES] if videos == 1 else [JSON, LINES, POSE]
    kind = accepted.best_match(kinds, kinds[0])
    if kind == POSE and videos > 1:
        message = f"{videos} videos do not fit into one file; accept {JSON} or {LINES}"
        raise InputError(message, problems=(Problem("/video", message),))
    return kind


def _build_answer(outcomes: dict[int, Outcome], *, rules: ItemRules, min_seen: float) -> dict[str, Any]:
    poses: list[dict[str, Any] | None] = []
    failures: dict[int, Exception] = {}
    warnings: list[str] = []
    for index, pointer in enumerate(rules.pointers):
        outcome = outcomes[index]
        try:
            pose = read_outcome(outcome, min_seen=min_seen)
        except (VideoError, EstimatorError, PoseError, ItemError) as error:
            if not rules.skip:
                raise locate_error(error, pointer) from error
            failures[index] = error
            poses.append(None)
        else:
            quality = report_quality(pose, None)
            poses.append({"pose": pack_pose(outcome), "video": describe_video(outcome), "quality": quality})
            warnings += [f"{pointer}: {warning}" for warning in quality["warnings"]]
    answer: dict[str, Any] = {"poses": poses}
    warnings = collect_warnings(outcomes, rules.pointers) + warnings
    if warnings:
        answer["warnings"] = warnings
    if failures:
        answer["errors"] = list_failures(failures)
    return answer


def _answer_file(item: dict[str, Any]) -> Response:
    response = Response(pybase64.b64decode(item["pose"]), mimetype=POSE)
    response.headers["X-SignCLIP-Video"] = orjson.dumps(item["video"]).decode()
    response.headers["X-SignCLIP-Quality"] = orjson.dumps(item["quality"]).decode()
    return response


def _write_line(event: Progress) -> bytes:
    line = {"index": event.index, "frames_done": event.done, "frames_total": event.total}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _write_lines(estimation: Estimation, build_answer: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    """Write lines of progress, then the answer or the problem. The status was sent before either was known."""
    written_at: dict[int, float] = {}
    skipped: dict[int, Progress] = {}
    try:
        for event in estimation.follow():
            now = time.monotonic()
            if event.done == event.total or now - written_at.get(event.index, 0.0) >= _LINE_S:
                written_at[event.index] = now
                skipped.pop(event.index, None)
                yield _write_line(event)
            else:
                skipped[event.index] = event
        # Recordings of browsers do not say how long they are, and some videos say it wrongly, so the last frame was
        # not known to be the last.
        yield from map(_write_line, skipped.values())
        yield orjson.dumps(build_answer(), option=orjson.OPT_APPEND_NEWLINE)
    except (RequestError, ProcessError, PoseError, VideoError, EstimatorError) as error:
        yield problems.answer_problem(error).get_data() + b"\n"
