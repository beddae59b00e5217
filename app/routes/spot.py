"""Signs found in a recording: as JSON, as lines of progress, or as the files that annotation tools read."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import orjson
from flask import Blueprint, Response, request
from pose_format import Pose

from app.access.admission import admit, hold_video_place
from app.answers import problems
from app.answers.lines import answer_lines
from app.answers.recognition_schemas import SpotAnswer
from app.answers.vectors import answer_json
from app.errors import RequestError
from app.inference import set_deadline
from app.intake.base64_text import decode_base64
from app.intake.body import find_file_kind, read_body, read_form, read_json
from app.intake.document_clips import CLIP_KEYS
from app.intake.items import ItemRules, locate_error
from app.intake.options import read_options
from app.intake.recognition_schemas import SpotOptions, SpotRequest
from app.intake.validation import check_count, validate
from app.intake.videos import (
    Estimation,
    collect_warnings,
    decode_videos,
    finish_estimation,
    limit_body,
    read_outcome,
)
from app.recognition import read_question
from app.reference.operations import Operation, describe
from app.services import Services
from app.spotting import RecordingSearch
from app.telemetry import get_record
from models.errors import ModelsError
from poses.errors import PoseError
from poses.headers import ReadLimits
from poses.reading import read
from poses.recordings import MAX_RECORDING_FRAMES
from processes.errors import ProcessError
from search.annotations import Find, write_csv, write_eaf, write_vtt
from search.errors import SearchError
from video.errors import EstimatorError, VideoError

blueprint = Blueprint("spot", __name__, url_prefix="/api")

JSON, LINES = "application/json", "application/x-ndjson"
# ELAN's files have no registered type; this one is used by the archives that keep them.
WRITERS: dict[str, Callable[[list[Find]], str]] = {
    "text/vtt": write_vtt,
    "text/csv": write_csv,
    "text/x-eaf+xml": write_eaf,
}
# A line for every batch of windows would be more than anybody reads.
_LINE_S = 0.25


@blueprint.post("/spot")
@describe(
    Operation(
        summary="Find signs in a recording",
        request=SpotRequest,
        options=SpotOptions,
        answer=SpotAnswer,
        form=True,
        statuses=(400, 401, 404, 409, 413, 415, 422, 429, 499, 503, 504),
        others=(*WRITERS, LINES),
        description="Looks at windows of 0.5 to 2 seconds, compares each with texts or with the examples of a "
        "collection, and answers the best that do not overlap. A sign that is held is found once. The recording is a "
        "pose or a video: base64 in JSON, a file of a form, or one raw body with the options in the query. There, "
        "query is a text, a JSON list, or given several times. Accept text/vtt, text/csv or text/x-eaf+xml (ELAN) for "
        "a file. With application/x-ndjson, lines with windows_done and windows_total come first; the last line is "
        "the JSON answer, or the problem.",
    )
)
@admit
def spot_signs(shared: Services) -> Response:
    """Find signs in the recording of a request.

    Raises:
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
        SearchError: the collection cannot be used, or no threshold can be chosen.
        EstimatorError: the estimation of a video failed.
    """
    deadline = set_deadline(shared.settings.video_timeout_s)  # reading the recording counts, too
    wanted, kind, data = _read_recording(shared)
    question = read_question(shared, wanted, labels=wanted.query, pointer="/query", model_name=wanted.model_name)
    with hold_video_place(shared) if kind == "video" else nullcontext():
        pose, warnings = _read_pose(shared, kind, data, wanted=wanted, deadline=deadline)
    record = get_record()
    record.model, record.items = question.config.name, 1 + len(question.labels)
    search = RecordingSearch(shared, question, pose, wanted=wanted, deadline=deadline)
    kinds = [JSON, *WRITERS, LINES]
    accepted = request.accept_mimetypes.best_match(kinds, JSON)
    if accepted == LINES:
        return answer_lines(_write_lines(search, warnings))
    for _ in search.follow():
        pass
    if accepted in WRITERS:
        return Response(WRITERS[accepted](search.find()), mimetype=accepted)
    return answer_json(_build_answer(search, warnings))


def _read_recording(shared: Services) -> tuple[SpotOptions, str, str | bytes]:
    """Read the options, whether the recording is a pose or a video, and its base64 or bytes."""
    settings = shared.settings
    is_json = request.is_json or not request.mimetype
    limits = (settings.max_body_bytes, limit_body(settings, in_json=is_json))
    request.max_content_length = max_bytes = max(limits)
    if is_json:
        wanted = validate(SpotRequest, read_json(request, max_bytes=max_bytes), max_items=settings.max_items)
        return wanted, "pose" if wanted.video is None else "video", wanted.pose or wanted.video or ""
    if request.mimetype == "multipart/form-data":
        form = read_form(request, CLIP_KEYS, max_bytes=max_bytes, max_items=1)
        kind, file = form.kinds[0], form.files[0]
        given: Mapping[str, Any] = read_options(form.fields, lists=SpotOptions.counted)
    else:
        kind = find_file_kind(request.mimetype) or "pose"
        body = read_body(request, kind, max_bytes=max_bytes, max_items=1, lists=SpotOptions.counted)
        file, given = (body.files or [b""])[0], body.document
    options = validate(SpotOptions, given, max_items=settings.max_items, strict=False)
    # A JSON list in the query was one text until now.
    check_count(len(options.query or ()), max_items=settings.max_items)
    return options, kind, file


def _read_pose(
    shared: Services, kind: str, data: str | bytes, *, wanted: SpotOptions, deadline: float
) -> tuple[Pose, list[str]]:
    settings = shared.settings
    try:
        if kind == "pose":
            content = decode_base64(data) if isinstance(data, str) else data
            limits = ReadLimits(max_bytes=settings.max_body_bytes, max_frames=MAX_RECORDING_FRAMES)
            return read(content, limits=limits), []
        videos = decode_videos([data], ["/video"], settings=settings)
        rules = ItemRules(["/video"])
        outcomes = finish_estimation(Estimation(shared.estimators, videos, rules=rules, deadline=deadline))
        return read_outcome(outcomes[0], min_seen=wanted.min_seen), collect_warnings(outcomes, ["/video"])
    except (PoseError, VideoError) as error:
        raise locate_error(error, f"/{kind}") from error


def _build_answer(search: RecordingSearch, warnings: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "found": [
            {"start_s": find.start_s, "end_s": find.end_s, "label": find.label, "score": find.score}
            for find in search.find()
        ],
        **search.describe(),
    }
    warnings = warnings + search.warnings
    return answer | ({"warnings": warnings} if warnings else {})


def _write_lines(search: RecordingSearch, warnings: list[str]) -> Iterator[bytes]:
    """Write lines of progress, then the answer or the problem. The status was sent before either was known."""
    written_at = 0.0
    try:
        for done, total in search.follow():
            if done == total or time.monotonic() - written_at >= _LINE_S:
                written_at = time.monotonic()
                yield orjson.dumps({"windows_done": done, "windows_total": total}, option=orjson.OPT_APPEND_NEWLINE)
        yield orjson.dumps(
            _build_answer(search, warnings), option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
        )
    except (RequestError, ProcessError, ModelsError, SearchError, PoseError, EstimatorError) as error:
        yield problems.answer_problem(error).get_data() + b"\n"
