"""Videos of a request into poses: one call of the estimators, with the request's deadline."""

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import pose_format
from flask import request
from pydantic import BaseModel

from app.errors import Base64Error, FramesOverLimitError, TooLargeError
from app.intake.body import read_clips
from app.intake.connection import client_socket, has_gone
from app.intake.items import ItemRules, decode_base64, placed
from app.intake.schemas import VideoBody, listed, pointers
from app.intake.validation import check_count, validate
from app.services import services
from app.telemetry import record
from models.catalog import ModelConfig
from poses.quality import share_with_body
from poses.reading import read
from video.errors import (
    EstimatorError,
    NobodyInViewError,
    TooManyFramesError,
    VideoError,
)
from video.estimates import Estimate, VideoLimits
from video.interface import EstimateRequest, Progress

# Beside the videos: options, boundaries, names.
_FORM_BYTES = 1024 * 1024
# Cameras have more for slow motion, of which nobody films minutes.
_MOST_FRAMES_A_SECOND = 60
Outcome = Estimate | VideoError | EstimatorError | Base64Error | FramesOverLimitError


@dataclass(frozen=True)
class Videos:
    """The videos of a request: bytes, or what is wrong with their base64; and where they stand in the document."""

    files: Sequence[bytes | Base64Error]
    places: Sequence[str]


Options = TypeVar("Options", bound=BaseModel)


def read_videos(whole: type[VideoBody], options: type[Options]) -> tuple[Options, Videos]:
    """Read a request with videos in any of its forms.

    Args:
        whole: schema of a JSON body; it has the options too.
        options: schema of what goes beside files.
    Raises:
        RequestError: the body or a key is wrong, or there are too many or too large videos.
    """
    settings = services().settings
    request.max_content_length = max_bytes = video_body_bytes(in_json=request.is_json)
    body = read_clips(request, "video", max_bytes=max_bytes, max_items=settings.max_videos)
    if body.files is None:
        checked = validate(whole, body.document, max_items=settings.max_videos)
        videos = decoded(checked.video)
        wanted = options.model_validate(checked.model_dump(exclude={"video"}))
    else:
        check_count(len(body.files), max_items=settings.max_videos)
        wanted = validate(options, body.document, max_items=settings.max_videos, strict=False)
        videos = Videos(list(body.files), pointers("video", list(body.files)))
    check_bytes(videos)
    return wanted, videos


def video_body_bytes(*, in_json: bool) -> int:
    """The largest body that videos may come in; base64 takes four bytes for three."""
    return services().settings.max_video_bytes * 4 // (3 if in_json else 4) + _FORM_BYTES


def decoded(items: str | Sequence[str]) -> Videos:
    """Videos from their base64."""
    files: list[bytes | Base64Error] = []
    for text in listed(items):
        try:
            files.append(decode_base64(text))
        except Base64Error as error:
            files.append(error)
    return Videos(files, pointers("video", items))


def check_bytes(videos: Videos) -> None:
    """Refuse videos that are too large together."""
    limit = services().settings.max_video_bytes
    given = sum(len(file) for file in videos.files if isinstance(file, bytes))
    if given > limit:
        raise TooLargeError(f"videos of {given} bytes together; one request may hold {limit}")


class Estimation:
    """The videos of one request on their way to poses. Close it, or what nobody waits for goes on.

    Args:
        model: whose limit of frames applies, unless rules truncate; None: the service's limits alone.
        deadline: in seconds of time.monotonic().
    Raises:
        ProcessError: the estimators are full or gone.

    Attributes:
        outcomes: by index, once `events` has come to its end.
    """

    def __init__(self, videos: Videos, *, rules: ItemRules, deadline: float, model: ModelConfig | None = None) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self._rules = rules
        self._model = None if rules.truncate else model
        self._connection = client_socket()
        for index, file in enumerate(videos.files):
            if isinstance(file, Base64Error):
                self._finish(index, file)
        self._places = [index for index, file in enumerate(videos.files) if isinstance(file, bytes)]
        files = [file for file in videos.files if isinstance(file, bytes)]
        self._work = services().estimators.begin(EstimateRequest(files, self._limits(), deadline))

    def events(self) -> Iterator[Progress]:
        """Wait until every video is finished, and tell of each frame.

        Raises:
            ProcessError: the estimators gave up, or the deadline passed.
            ItemError: a video is refused, and rules do not skip it.
            EstimatorError: an estimation was lost, and rules do not skip it.
        """
        for event in self._work.events(lambda: has_gone(self._connection)):
            index = self._places[event.index]
            if isinstance(event, Progress):
                yield Progress(index, event.done, event.total)
            else:
                self._finish(index, event.outcome)

    def close(self) -> None:
        self._work.close()

    def _limits(self) -> VideoLimits:
        settings = services().settings
        limits = VideoLimits(
            max_bytes=settings.max_video_bytes,
            max_seconds=settings.max_video_s,
            max_frames=round(settings.max_video_s * _MOST_FRAMES_A_SECOND),
            max_side=settings.max_video_side,
            max_pixels=settings.max_video_side**2,
        )
        if self._model is None:
            return limits
        return VideoLimits(**asdict(limits) | {"max_frames": min(limits.max_frames, self._model.max_frames)})

    def _finish(self, index: int, outcome: Outcome) -> None:
        if isinstance(outcome, TooManyFramesError) and self._model is not None:
            advice = "Send truncate: true to keep the first"
            outcome = FramesOverLimitError(f"{outcome}; they are what model {self._model.name!r} takes. {advice}")
        if isinstance(outcome, Exception) and not self._rules.skip:
            raise placed(outcome, self._rules.pointers[index]) from outcome
        self.outcomes[index] = outcome


def estimate(
    videos: Videos, *, rules: ItemRules, deadline: float, model: ModelConfig | None = None
) -> dict[int, Outcome]:
    """Estimate the poses of a request's videos, and note how long it took; see Estimation."""
    started = time.monotonic()
    estimation = Estimation(videos, rules=rules, deadline=deadline, model=model)
    try:
        for _ in estimation.events():
            pass
    finally:
        estimation.close()
        record().add("estimate", time.monotonic() - started)
    return estimation.outcomes


def read_outcome(outcome: Outcome, *, min_seen: float) -> pose_format.Pose:
    """The pose of a video.

    Args:
        min_seen: least share of frames in which somebody must be seen.
    Raises:
        VideoError, EstimatorError, ItemError: what is wrong with the video.
    """
    if isinstance(outcome, Exception):
        raise outcome
    pose = read(outcome.pose)
    share = share_with_body(pose)
    if share < min_seen:
        raise NobodyInViewError(
            f"somebody is seen in {100 * share:.0f} % of {outcome.facts.frames} frames; "
            f"at least {100 * min_seen:.0f} % are needed (min_seen)"
        )
    return pose


def facts(outcome: Outcome) -> dict[str, Any] | None:
    """What was read of a video, as answers have it; None of one that was refused."""
    return asdict(outcome.facts) if isinstance(outcome, Estimate) else None


def pose_base64(outcome: Outcome) -> str | None:
    """The .pose file of a video; None of one that was refused."""
    return base64.b64encode(outcome.pose).decode("ascii") if isinstance(outcome, Estimate) else None


def warnings(outcomes: dict[int, Outcome], places: Sequence[str]) -> list[str]:
    """What was odd about the videos, each with its place."""
    return [
        f"{places[index]}: {warning}"
        for index, outcome in sorted(outcomes.items())
        if isinstance(outcome, Estimate)
        for warning in outcome.warnings
    ]
