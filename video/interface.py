"""What anyone who wants poses of videos may ask of the estimators, wherever they run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from video.errors import EstimatorError, VideoError
from video.estimates import Estimate, VideoLimits


@dataclass(frozen=True)
class EstimateRequest:
    """Videos, admitted or refused together, estimated side by side.

    Attributes:
        videos: bytes of a file each.
        limits: what each may be.
        deadline: in seconds of time.monotonic(); None waits as long as it takes.
    """

    videos: Sequence[bytes]
    limits: VideoLimits = field(default_factory=VideoLimits)
    deadline: float | None = None


@dataclass(frozen=True)
class Progress:
    """One more frame of a video is done; `total` is None where the video does not say how many it has."""

    index: int
    done: int
    total: int | None


@dataclass(frozen=True)
class Finished:
    """The last word about a video."""

    index: int
    outcome: Estimate | VideoError | EstimatorError


Event = Progress | Finished


class Work(Protocol):
    """A request that was admitted. Its owner must close it."""

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:
        """Wait for what happens, until every video is finished.

        Args:
            is_disconnected: asked now and then whether whoever wanted the poses has left.
        Raises:
            CancelledError: they have.
            DeadlineExceededError: the deadline passed first.
            VideoStoppedError: the estimators are gone.
        """
        ...

    def close(self) -> None:
        """Give up what is not finished, at once. May be called twice."""
        ...


class Estimators(Protocol):
    """Every method may be called from any thread."""

    def begin(self, request: EstimateRequest) -> Work:
        """Admit a request, and return at once.

        Raises:
            QueueFullError: there is no place for all videos of the request.
            VideoStoppedError: the estimators are draining or gone.
        """
        ...

    def export_metrics(self) -> str:
        """Their counters in Prometheus' text format; empty while they are away."""
        ...

    def close(self) -> None:
        """Let go; estimators of this process finish what was admitted first. May be called twice."""
        ...
