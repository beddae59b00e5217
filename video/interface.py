"""What a caller may ask of the estimators of poses, wherever they run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from video.errors import EstimatorError, VideoError
from video.estimates import Estimate, VideoLimits


@dataclass(frozen=True)
class EstimateRequest:
    """Videos that are admitted or refused together, and estimated side by side.

    Attributes:
        videos: the bytes of each file.
        limits: what each video may be.
        deadline: in seconds of time.monotonic(); None: the request may take as long as it needs.
        client: whose request it is. Clients take turns, however many requests each of them has.
        request_id: names the request in the estimators' log; None: it has no name.
    """

    videos: Sequence[bytes]
    limits: VideoLimits = field(default_factory=VideoLimits)
    deadline: float | None = None
    client: str = ""
    request_id: str | None = None


@dataclass(frozen=True)
class Progress:
    """One more frame of a video was estimated.

    Attributes:
        index: of the video in its request.
        done: frames so far.
        total: frames of the video, if it declares them.
    """

    index: int
    done: int
    total: int | None


@dataclass(frozen=True)
class Finished:
    """A video is finished; no event about it follows.

    Attributes:
        index: of the video in its request.
        outcome: its pose, or why there is none.
    """

    index: int
    outcome: Estimate | VideoError | EstimatorError


Event = Progress | Finished


class Work(Protocol):
    """A request that was admitted. Its owner must close it."""

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:
        """Wait for events, until every video is finished.

        Args:
            is_disconnected: called now and then; reports whether the client has disconnected.
        Raises:
            CancelledError: the client has disconnected.
            DeadlineExceededError: the request's deadline passed first.
            VideoStoppedError: the estimators cannot be reached any more.
        """
        ...

    def close(self) -> None:
        """Stop at once what is not finished. May be called twice."""
        ...


class Estimators(Protocol):
    """Every method may be called from any thread."""

    def begin(self, request: EstimateRequest) -> Work:
        """Admit a request, and return at once.

        Raises:
            QueueFullError: there is no place for all videos of the request.
            VideoStoppedError: the estimators are shutting down, restarting, or cannot be reached.
        """
        ...

    def export_metrics(self) -> str:
        """Write the counters in Prometheus' text format; empty while the estimators cannot be reached."""
        ...

    def close(self) -> None:
        """Finish what was admitted, if the estimators run in this process, and end them. May be called twice."""
        ...
