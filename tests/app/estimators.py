"""Estimators that can be told what to do, and the videos that they know."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from poses import read
from video.errors import EstimatorLostError, TooManyFramesError, VideoTooLongError, VideoUnreadableError
from video.estimates import Estimate, VideoFacts
from video.interface import EstimateRequest, Event, Finished, Progress

POSES = Path(__file__).parents[1] / "golden" / "poses"
FACTS = VideoFacts(640, 480, 25.0, 21, 0.84, 90, "h264", "fake")


@dataclass
class FakeEstimators:
    """Returns the pose whose name is the video's content; `bad`, `lost`, `long` and `hour` are refused.

    Attributes:
        refusal: raised by every begin.
        failure: raised in the middle of every request.
        hold: `follow` waits for it after the first frame.
        total: frames that videos say they have.
        entered: set once `follow` waits.
        closed: how many requests were closed.
    """

    refusal: Exception | None = None
    failure: Exception | None = None
    hold: threading.Event | None = None
    total: int | None = 2
    entered: threading.Event = field(default_factory=threading.Event)
    requests: list[EstimateRequest] = field(default_factory=list)
    closed: int = 0

    def begin(self, request: EstimateRequest) -> FakeWork:
        self.requests.append(request)
        if self.refusal is not None:
            raise self.refusal
        return FakeWork(self, request)

    def export_metrics(self) -> str:
        return ""

    def close(self) -> None:
        pass

    def outcome(self, video: bytes) -> object:
        refused = {
            b"bad": VideoUnreadableError("the bytes are no video"),
            b"lost": EstimatorLostError("the process was lost"),
            b"long": TooManyFramesError("more than 64 frames"),
            b"hour": VideoTooLongError("3600 seconds"),
        }
        if video in refused:
            return refused[video]
        name, _, emptied = video.decode().partition(" ")
        file = (POSES / f"{name}.pose").read_bytes()
        return Estimate(_without_people(file) if emptied else file, FACTS, ("1 piece did not decode",))


class FakeWork:
    def __init__(self, estimators: FakeEstimators, request: EstimateRequest) -> None:
        self.estimators, self.request = estimators, request

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:
        for index, video in enumerate(self.request.videos):
            yield Progress(index, 1, self.estimators.total)
            if self.estimators.hold is not None:
                self.estimators.entered.set()
                assert self.estimators.hold.wait(30)
            if self.estimators.failure is not None:
                raise self.estimators.failure
            yield Progress(index, 2, self.estimators.total)
            yield Finished(index, self.estimators.outcome(video))  # type: ignore[arg-type]

    def close(self) -> None:
        self.estimators.closed += 1


def _without_people(file: bytes) -> bytes:
    """The pose with nobody in its first two thirds."""
    pose = read(file)
    frames = 2 * len(pose.body.confidence) // 3
    pose.body.confidence[:frames] = 0
    target = io.BytesIO()
    pose.write(target)
    return target.getvalue()


def b64(video: bytes) -> str:
    """Encode a video for JSON."""
    return base64.b64encode(video).decode()


def form(*videos: bytes, **options: str) -> dict[str, object]:
    """Make a form with a file part for each video."""
    return {"video": [(io.BytesIO(video), "clip.mp4") for video in videos], **options}
