"""An estimator process that does as it is told, so that a queue can be tested without a tracker."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from video.errors import EstimationStoppedError, EstimatorLostError, VideoUnreadableError
from video.estimates import Estimate, VideoFacts, VideoLimits
from video.settings import EstimatorHealth

TIMEOUT_S = 30.0
FACTS = VideoFacts(4, 4, 25.0, 1, 0.04, 0, "h264", "fake")


class FakeProcess:
    """Gives each video back as its pose; `bad` is refused, `lost` kills the process.

    Attributes:
        gate: estimations wait for it.
        ran: videos in the order in which they began.
        made: every instance.
    """

    gate = threading.Event()
    made: list[FakeProcess] = []
    ran: list[bytes] = []
    changed = threading.Condition()

    def __init__(self, health: EstimatorHealth | None = None) -> None:
        self.videos = 0
        self.closed = False
        self.replaced: Counter[str] = Counter(lost=0, worn=0)
        FakeProcess.made.append(self)

    @classmethod
    def clean(cls) -> None:
        cls.gate.set()
        cls.made, cls.ran = [], []

    @classmethod
    def wait_for_runs(cls, count: int) -> None:
        with cls.changed:
            assert cls.changed.wait_for(lambda: len(cls.ran) >= count, TIMEOUT_S)

    @property
    def pid(self) -> int | None:
        return 1 if self.videos and not self.closed else None

    def estimate(
        self,
        video: bytes,
        *,
        limits: VideoLimits,
        on_frame: Callable[[int, int | None], None],
        is_unwanted: Callable[[], bool],
    ) -> Estimate:
        self.videos += 1
        with self.changed:
            FakeProcess.ran.append(video)
            self.changed.notify_all()
        on_frame(1, 2)
        while not self.gate.wait(0.005):
            if is_unwanted():
                raise EstimationStoppedError("unwanted")
        if video == b"bad":
            raise VideoUnreadableError("bad")
        if video == b"lost":
            self.replaced["lost"] += 1
            raise EstimatorLostError("lost")
        if video == b"bug":
            raise ZeroDivisionError
        on_frame(2, 2)
        return Estimate(b"pose of " + video, FACTS, ("odd",))

    def kill(self) -> int | None:
        return None

    def close(self) -> None:
        self.closed = True
