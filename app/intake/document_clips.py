"""The clips of a document that may hold poses and videos: the poses come first, then those seen in videos.

A document is a JSON object, or a form whose file parts are the clips.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from flask import Request
from pose_format import Pose

from app.access.admission import hold_video_place
from app.errors import TooLargeError
from app.inference import set_deadline
from app.intake.body import read_form, read_json
from app.intake.clip_options import is_trimmed
from app.intake.items import ItemRules, PoseFiles, PreparedItems, prepare_clips
from app.intake.options import read_options
from app.intake.schemas import DocumentClips, locate_items
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
from app.services import Services
from app.settings import ServiceSettings
from models.catalog import ModelConfig

Document = TypeVar("Document", bound=DocumentClips)
CLIP_KEYS = ("pose", "video")
"""Keys of a document, and names of a form's file parts."""


def read_document(request: Request, settings: ServiceSettings, schema: type[Document]) -> Document:
    """Read a document, from JSON or a form, that may hold videos, whose limit of bytes is larger.

    Raises:
        RequestError: the body or a key is wrong, or the texts and poses are larger than a body without videos may be.
    """
    request.max_content_length = max_bytes = max(settings.max_body_bytes, limit_body(settings, in_json=True))
    if request.mimetype == "multipart/form-data":
        wanted = _read_form(request, settings, schema, max_bytes=max_bytes)
    else:
        wanted = validate(schema, read_json(request, max_bytes=max_bytes), max_items=settings.max_items)
    beside_videos = [items for key in schema.counted if key != "video" and (items := getattr(wanted, key)) is not None]
    size = sum(len(items) if isinstance(items, str) else sum(map(len, items)) for items in beside_videos)
    if size > settings.max_body_bytes:
        raise TooLargeError(f"texts and poses of {size} characters together; the limit is {settings.max_body_bytes}")
    return wanted


def _read_form(request: Request, settings: ServiceSettings, schema: type[Document], *, max_bytes: int) -> Document:
    """Read a form with clips in file parts, lists in repeated fields, and options in fields."""
    form = read_form(request, CLIP_KEYS, max_bytes=max_bytes, max_items=settings.max_items)
    lists = {key: form.fields.poplist(key) for key in schema.counted if key in form.fields}
    # The schema counts the files. What is in them is checked where they are read, as for files of other routes.
    counted = {key: [""] * form.kinds.count(key) for key in set(form.kinds)}
    document = {**read_options(form.fields), **lists, **counted}
    wanted = validate(schema, document, max_items=settings.max_items, strict=False)
    clips = list(zip(form.kinds, form.files, strict=True))
    return wanted.model_copy(update={key: [file for kind, file in clips if kind == key] for key in counted})


def set_document_deadline(settings: ServiceSettings, wanted: DocumentClips) -> float:
    """Set the deadline of a request, which is later when it has videos.

    Returns:
        The deadline, in seconds of time.monotonic().
    Raises:
        InputError: X-Timeout-Ms is no positive whole number.
    """
    return set_deadline(settings.timeout_s if wanted.video is None else settings.video_timeout_s)


def hold_place(shared: Services, wanted: DocumentClips) -> AbstractContextManager[None]:
    """Hold one of the places for requests with videos, when the document has any.

    Raises:
        TooManyRequestsError: every place is taken.
    """
    return nullcontext() if wanted.video is None else hold_video_place(shared)


def prepare_document_clips(
    shared: Services, config: ModelConfig, *, wanted: DocumentClips, deadline: float
) -> tuple[PreparedItems, list[str]]:
    """Prepare the poses of a document, then those that are estimated in its videos.

    A clip without a hand is refused, unless the document allows it: a search by it would find something at random.

    Args:
        deadline: in seconds of time.monotonic().
    Returns:
        The clips, and the pointer to each.
    Raises:
        ItemError, EstimatorError, ProcessError: a clip is refused, or the estimation of a video failed.
    """
    files, pointers = locate_items("pose", wanted.pose) if wanted.pose is not None else ([], [])
    poses = PoseFiles(files, config=config, max_bytes=shared.settings.max_body_bytes)
    outcomes: dict[int, Outcome] = {}
    skip = wanted.on_error == "skip"
    if wanted.video is not None:
        items, places = locate_items("video", wanted.video)
        check_count(len(items), max_items=shared.settings.max_videos)
        videos = decode_videos(items, places, settings=shared.settings)
        rules = ItemRules(places, wanted.truncate, skip)
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

    rules = ItemRules(pointers, wanted.truncate, skip, needs_hands=not wanted.allow_no_hands)
    prepared = prepare_clips(config, read_item, clips=wanted, rules=rules)
    prepared.warnings += collect_warnings(outcomes, pointers[len(files) :])
    return prepared, pointers
