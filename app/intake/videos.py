"""The videos of a request and the estimation of their poses, which ends with the request's deadline."""

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pose_format
from flask import Request

from app.access.quotas import get_address
from app.errors import Base64Error, FramesOverLimitError, TooLargeError
from app.intake.base64_text import decode_base64
from app.intake.clips import Options, read_clips
from app.intake.connection import get_client
from app.intake.items import ItemRules, locate_error
from app.settings import ServiceSettings
from app.telemetry import get_record
from models.catalog import ModelConfig
from poses.reading import read
from video.errors import EstimatorError, TooManyFramesError, VideoError
from video.estimates import Estimate, VideoLimits, check_seen
from video.interface import EstimateRequest, Estimators, Progress

# Room in a body for what is not video: options, boundaries and names.
_FORM_BYTES = 1024 * 1024
# Cameras record more only for slow motion, which does not last for minutes.
_MAX_FRAMES_PER_SECOND = 60
Outcome = Estimate | VideoError | EstimatorError | Base64Error | FramesOverLimitError


@dataclass(frozen=True)
class Videos:
    """The videos of a request.

    Attributes:
        files: bytes of each video, or what is wrong with its base64.
        pointers: JSON pointer (RFC 6901) to each video.
        limits: what each video may be.
    """

    files: Sequence[bytes | Base64Error]
    pointers: Sequence[str]
    limits: VideoLimits


def read_videos(
    request: Request, settings: ServiceSettings, *, whole: type[Options], options: type[Options]
) -> tuple[Options, Videos]:
    """Read a request with videos, whatever form its body has.

    Args:
        whole: schema of a JSON object; it has the options and the videos.
        options: schema of the options when the videos are files.
    Raises:
        RequestError: the body or a key is wrong, or there are too many or too large videos.
    """
    request.max_content_length = max_bytes = limit_body(settings, in_json=request.is_json)
    clips = read_clips(
        request, "video", whole=whole, options=options, max_bytes=max_bytes, max_items=settings.max_videos
    )
    return clips.options, decode_videos(clips.items, clips.pointers, settings=settings)


def limit_body(settings: ServiceSettings, *, in_json: bool) -> int:
    """Compute the largest size of a body with videos, in bytes. Base64 takes four bytes for three."""
    return settings.max_video_bytes * 4 // (3 if in_json else 4) + _FORM_BYTES


def decode_videos(items: Sequence[str | bytes], pointers: Sequence[str], *, settings: ServiceSettings) -> Videos:
    """Decode the base64 of videos that came in JSON; files are used as they are.

    Args:
        settings: say how large all videos may be together, and what each may be.
    Raises:
        TooLargeError: the videos have too many bytes together.
    """
    files: list[bytes | Base64Error] = []
    for item in items:
        try:
            files.append(decode_base64(item) if isinstance(item, str) else item)
        except Base64Error as error:
            files.append(error)
    size = sum(len(file) for file in files if isinstance(file, bytes))
    if size > settings.max_video_bytes:
        raise TooLargeError(f"videos of {size} bytes together; one request may hold {settings.max_video_bytes}")
    limits = VideoLimits(
        max_bytes=settings.max_video_bytes,
        max_seconds=settings.max_video_s,
        max_frames=round(settings.max_video_s * _MAX_FRAMES_PER_SECOND),
        max_side=settings.max_video_side,
        max_pixels=settings.max_video_side**2,
    )
    return Videos(files, pointers, limits)


class Estimation:
    """The estimation of one request's videos. It must be closed; until then videos are estimated, wanted or not.

    Args:
        deadline: in seconds of time.monotonic().
        model: the model whose limit of frames applies, unless the rules truncate; None: only the videos' limits apply.
    Raises:
        ProcessError: the queue of videos is full, or the estimators are stopped.
        ItemError: the base64 of a video is wrong, and rules do not skip it.

    Attributes:
        outcomes: by index, complete once `follow` has ended.
    """

    def __init__(
        self,
        estimators: Estimators,
        videos: Videos,
        *,
        rules: ItemRules,
        deadline: float,
        model: ModelConfig | None = None,
    ) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self._rules = rules
        self._model = None if rules.truncate else model
        self._client = get_client()
        for index, file in enumerate(videos.files):
            if isinstance(file, Base64Error):
                self._finish(index, file)
        self._indexes = [index for index, file in enumerate(videos.files) if isinstance(file, bytes)]
        files = [file for file in videos.files if isinstance(file, bytes)]
        limits = videos.limits
        if self._model is not None:
            limits = replace(limits, max_frames=min(limits.max_frames, self._model.max_frames))
        self._work = estimators.begin(EstimateRequest(files, limits, deadline, get_address(), get_record().request_id))

    def follow(self) -> Iterator[Progress]:
        """Wait until every video is finished, and report every frame on the way.

        Raises:
            ProcessError: the estimators stopped, the client disconnected, or the deadline passed.
            ItemError: a video is refused, and rules do not skip it.
            EstimatorError: the estimation of a video failed, and rules do not skip it.
        """
        for event in self._work.follow(self._client.is_disconnected):
            index = self._indexes[event.index]
            if isinstance(event, Progress):
                yield Progress(index, event.done, event.total)
            else:
                self._finish(index, event.outcome)

    def close(self) -> None:
        """Cancel what is not finished."""
        self._work.close()

    def _finish(self, index: int, outcome: Outcome) -> None:
        if isinstance(outcome, TooManyFramesError) and self._model is not None:
            advice = "Send truncate: true to keep the first"
            outcome = FramesOverLimitError(f"{outcome}, the limit of model {self._model.name!r}. {advice}")
        if isinstance(outcome, Exception) and not self._rules.skip:
            raise locate_error(outcome, self._rules.pointers[index]) from outcome
        self.outcomes[index] = outcome


def finish_estimation(estimation: Estimation) -> dict[int, Outcome]:
    """Wait until every video is finished, close the estimation and record how long it took.

    Returns:
        The pose of each video, or what is wrong with it, by index.
    Raises:
        ProcessError, ItemError, EstimatorError: see Estimation.follow.
    """
    started = time.monotonic()
    try:
        for _ in estimation.follow():
            pass
    finally:
        estimation.close()
        get_record().add_stage("estimate", time.monotonic() - started)
    return estimation.outcomes


def read_outcome(outcome: Outcome, *, min_seen: float) -> pose_format.Pose:
    """Read the pose of a video.

    Args:
        min_seen: smallest share of frames, 0-1, that must show a person.
    Raises:
        VideoError, EstimatorError, ItemError: the video is refused, or its estimation failed.
        PoseError: the estimated pose cannot be used.
    """
    if isinstance(outcome, Exception):
        raise outcome
    pose = read(outcome.pose)
    check_seen(pose, min_seen=min_seen)
    return pose


def describe_video(outcome: Outcome) -> dict[str, Any] | None:
    """Describe what was read of a video, as answers show it; None for a video that was refused."""
    return asdict(outcome.facts) if isinstance(outcome, Estimate) else None


def pack_pose(outcome: Outcome) -> str | None:
    """Write the .pose file of a video in base64; None for a video that was refused."""
    return base64.b64encode(outcome.pose).decode("ascii") if isinstance(outcome, Estimate) else None


def collect_warnings(outcomes: dict[int, Outcome], pointers: Sequence[str]) -> list[str]:
    """Collect the warnings about all videos, each with the video's pointer."""
    return [
        f"{pointers[index]}: {warning}"
        for index, outcome in sorted(outcomes.items())
        if isinstance(outcome, Estimate)
        for warning in outcome.warnings
    ]
