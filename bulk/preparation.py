"""From an item's file to the features that the model takes. It runs in processes without the model."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pose_format import Pose

from bulk.errors import StorageError
from bulk.items import Failure
from bulk.options import EmbedOptions
from bulk.storage import open_local
from corpora.clip_files import read_pose
from corpora.errors import ClipError, ClipOutOfReachError, ClipSpanError, FeaturesUnavailableError
from corpora.examples import Example
from corpora.readers.media import find_pose_beside, is_pose, is_video
from models.catalog import ModelConfig
from poses.errors import NoHandsError, PoseError, PoseTooLongError
from poses.features import FeatureOptions, extract
from poses.headers import ReadLimits
from poses.quality import report, shows_hands
from poses.reading import read
from poses.trim import cut_to_signing
from processes.os_errors import describe_reason
from video.errors import EstimatorError, EstimatorLostError, VideoError
from video.estimates import Estimate, VideoLimits, check_seen
from video.settings import EstimatorHealth
from video.worker_process import EstimatorProcess

log = logging.getLogger(__name__)
Features = npt.NDArray[np.float32]  # (frames, features)
_GIB = 1024**3
# Ten hours of MediaPipe's points at 25 frames a second take 8 GB; what is longer is cut beforehand or by start_s.
_POSE_LIMITS = ReadLimits(max_bytes=_GIB, max_frames=1_000_000)
_VIDEO_LIMITS = VideoLimits(max_bytes=_GIB, max_seconds=4 * 3600, max_frames=200_000)
# A frame's points take 9 KB, and four times that where they become a file (video/folders.py).
_HEALTH = EstimatorHealth(address_space_bytes=EstimatorHealth.address_space_bytes + 200_000 * 4 * 10_000)
_SIGN_EVERY_S = 1.0
# As many as the pool gives a clip whose process is lost.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Task:
    """A clip to prepare.

    Attributes:
        source: path or address of its file.
        start_s: where it starts in the file, in seconds; None: at the file's start.
        end_s: where it ends; None: at the file's end.
    """

    source: str
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A clip that is ready for the model, or why it is not.

    Attributes:
        features: float32 (frames, features); None where it failed.
        quality: the report on the clip, as JSON; "" where there is none.
        failure: why there are no features.
    """

    features: Features | None = None
    quality: str = ""
    failure: Failure | None = None


class Preparer:
    """Prepares clips one after another; videos in a process of their own, which starts with the first one."""

    def __init__(self, config: ModelConfig, options: EmbedOptions) -> None:
        self._config, self._options = config, options
        self._wanted = FeatureOptions(flip=options.flip, anonymize=options.anonymize, person=options.person)
        self._trims = (options.trim or config.trim) == "auto"
        self._estimator: EstimatorProcess | None = None

    def prepare(self, task: Task, on_sign: Callable[[], None]) -> Prepared:
        """Prepare one clip; whatever its file holds, this returns.

        Args:
            on_sign: called about once a second while a long clip makes progress.
        """
        try:
            return self._compute(self._read(task, _Throttle(on_sign)))
        except (PoseError, VideoError, EstimatorError, StorageError) as error:
            return _fail(error.code, error)
        except ClipError as error:
            return _fail(_find_code(error), error)
        except OSError as error:
            return _fail("file", describe_reason(error))
        except MemoryError:
            return _fail("out_of_memory", "the clip takes more memory than one clip may")
        except Exception as error:  # the last resort: one clip's fault must not end a run of many
            log.exception("a clip could not be prepared")
            return _fail("internal", f"{type(error).__name__}; the log has more")

    def close(self) -> None:
        """End the process that estimates videos. May be called twice."""
        if self._estimator is not None:
            self._estimator.close()

    def _read(self, task: Task, on_sign: Callable[[], None]) -> Pose:
        with open_local(task.source, on_sign) as path:
            pose = (find_pose_beside(path) or path) if is_video(path) else path
            if is_video(pose):
                return self._estimate(pose, task, on_sign)
            return self._read_pose(pose, task)

    def _read_pose(self, path: Path, task: Task) -> Pose:
        if task.start_s is None and task.end_s is None and is_pose(path):
            return read(path.read_bytes(), limits=_POSE_LIMITS, kind=self._config.features)
        return read_pose(
            Example(task.source, path, text="", label="", split="all", start_s=task.start_s, end_s=task.end_s)
        )

    def _estimate(self, video: Path, task: Task, on_sign: Callable[[], None]) -> Pose:
        done = self._estimate_whole(video.read_bytes(), on_sign)
        if task.start_s is None and task.end_s is None:
            pose: Pose = read(done.pose, limits=_POSE_LIMITS)
        else:
            with tempfile.TemporaryDirectory(prefix="signclip-bulk-") as folder:
                path = Path(folder, "estimated.pose")
                path.write_bytes(done.pose)
                pose = self._read_pose(path, task)
        check_seen(pose, min_seen=self._options.min_seen)
        return pose

    def _estimate_whole(self, video: bytes, on_sign: Callable[[], None]) -> Estimate:
        """Estimate a video; a process that was lost is replaced, because somebody else may have ended it."""
        if self._estimator is None:
            self._estimator = EstimatorProcess(_HEALTH)
        for _ in range(_TRIES - 1):
            try:
                return self._estimator.estimate(video, limits=_VIDEO_LIMITS, on_frame=lambda *_: on_sign())
            except EstimatorLostError:
                on_sign()
        return self._estimator.estimate(video, limits=_VIDEO_LIMITS, on_frame=lambda *_: on_sign())

    def _compute(self, pose: Pose) -> Prepared:
        options, config = self._options, self._config
        if not options.allow_no_hands and not shows_hands(pose, options.person):
            raise NoHandsError(
                f"no hand in any of {len(pose.body.confidence)} frames; --allow-no-hands takes it all the same"
            )
        if self._trims:
            pose, _ = cut_to_signing(pose, options.person)
        frames = len(pose.body.confidence)
        if frames > config.max_frames and not options.truncate:
            raise PoseTooLongError(
                f"{frames} frames; model {config.name!r} takes {config.max_frames}. --truncate keeps the first"
            )
        features = extract(pose, config.features, self._wanted)[: config.max_frames]
        quality = json.dumps(vars(report(pose, options.person))) if options.quality else ""
        return Prepared(features, quality)


class _Throttle:
    """Calls a function, but not more often than once a second."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function, self._called = function, time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._called >= _SIGN_EVERY_S:
            self._called = now
            self._function()


def _fail(code: str, detail: object) -> Prepared:
    return Prepared(failure=Failure(code, str(detail)))


def _find_code(error: ClipError) -> str:
    codes = {ClipOutOfReachError: "file", ClipSpanError: "clip_span", FeaturesUnavailableError: "features_unavailable"}
    return codes.get(type(error), "clip_unreadable")
