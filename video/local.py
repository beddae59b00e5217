"""The estimators in this process: one queue of videos, and a thread for each process with a tracker."""

import logging
import math
import os
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from processes.errors import CancelledError, DeadlineExceededError, QueueFullError, VideoStoppedError
from video.errors import EstimatorError, EstimatorLostError, VideoError
from video.estimates import Estimate
from video.interface import (
    EstimateRequest,
    Event,
    Finished,
    Progress,
)
from video.metrics import DONE, EstimatorMetrics
from video.settings import EstimatorSettings
from video.turns import Turns
from video.worker_process import EstimatorProcess

log = logging.getLogger(__name__)
# How often a waiting call checks whether its client has disconnected, in seconds.
_CHECK_S = 0.1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class LocalWork:
    """A request in this process: its videos that wait, how many run, and its events.

    Attributes:
        over: whether the client has closed it.
        admitted: when it was admitted, in seconds of time.monotonic().
        waiting: indexes of the videos that wait for a process.
        running: videos that a process works on.
    """

    def __init__(self, request: EstimateRequest, forget: Callable[["LocalWork"], None]) -> None:
        self.request = request
        self.over = False
        self.admitted = time.monotonic()
        self.waiting = deque(range(len(request.videos)))
        self.running = 0
        self._forget = forget
        self._checked = time.monotonic()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    @property
    def size_bytes(self) -> int:
        """Bytes of all its videos."""
        return sum(map(len, self.request.videos))

    def has_waiting(self) -> bool:
        """Whether a video of it waits for a process."""
        return bool(self.waiting)

    def report(self, event: Event) -> None:
        """Let `follow` yield an event. May be called from any thread."""
        self._events.put(event)

    def is_unwanted(self) -> bool:
        """Whether it was closed, or its deadline has passed."""
        deadline = self.request.deadline
        return self.over or (deadline is not None and time.monotonic() >= deadline)

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:
        """Wait for events, until every video is finished; see Work.follow.

        Raises:
            CancelledError: the client has disconnected.
            DeadlineExceededError: the request's deadline passed first.
        """
        unfinished = len(self.request.videos)
        while unfinished:
            event = self._wait_for_event(is_disconnected)
            unfinished -= isinstance(event, Finished)
            yield event

    def close(self) -> None:
        """Stop at once what is not finished. May be called twice."""
        self._forget(self)

    def _wait_for_event(self, is_disconnected: Callable[[], bool] | None) -> Event:
        deadline = math.inf if self.request.deadline is None else self.request.deadline
        check_s = math.inf if is_disconnected is None else _CHECK_S
        while True:
            wait_s = min(check_s, max(0.0, deadline - time.monotonic()))
            try:
                event = self._events.get(timeout=None if wait_s == math.inf else wait_s)
            except queue.Empty:
                event = None
            if time.monotonic() >= deadline:
                raise DeadlineExceededError("the deadline passed before every video was estimated")
            # By the clock and not when there is no event, because frames may come faster than _CHECK_S.
            if is_disconnected is not None and time.monotonic() - self._checked >= _CHECK_S:
                self._checked = time.monotonic()
                if is_disconnected():
                    raise CancelledError("the client disconnected before every video was estimated")
            if event is not None:
                return event


@dataclass(frozen=True)
class _QueuedVideo:
    work: LocalWork
    index: int


class LocalEstimators:
    """Estimators whose queue is in this process. Build them after a fork, never before.

    A process with a tracker starts when the first video comes for it.

    Args:
        settings: None takes the defaults.
    """

    def __init__(self, settings: EstimatorSettings | None = None) -> None:
        self._settings = settings = settings or EstimatorSettings()
        self._condition = threading.Condition()
        self._works: list[LocalWork] = []
        self._closing = False
        self._turns = Turns()
        self._processes = [EstimatorProcess(settings.health) for _ in range(settings.count_workers())]
        # The process that finished last works next, because it has started already.
        self._idle = list(self._processes)
        self._threads = [
            threading.Thread(target=self._feed, args=(process,), name=f"estimator-{number}", daemon=True)
            for number, process in enumerate(self._processes)
        ]
        self._metrics = EstimatorMetrics()
        self._watch_gauges()
        for thread in self._threads:
            thread.start()

    def _watch_gauges(self) -> None:
        watch = self._metrics.watch
        watch("queue_videos", "Videos that wait for a process", lambda: self.waiting)
        watch("held_bytes", "Bytes of the videos that wait or run", self._measure_held_bytes)
        watch("processes", "Processes with a tracker", lambda: len(self.pids))
        watch(
            "processes_resident_bytes",
            "Memory of these processes together",
            lambda: sum(map(_measure_resident_bytes, self.pids)),
        )
        self._metrics.watch_counts("restarts", "Processes that were replaced", "reason", self._count_replaced)

    @property
    def pids(self) -> list[int]:
        """Process ids of the processes with a tracker that run now."""
        return [process.pid for process in self._processes if process.pid is not None]

    @property
    def waiting(self) -> int:
        """Videos that wait for a process."""
        with self._condition:
            return self._count_waiting()

    def export_metrics(self) -> str:
        """Write the counters in Prometheus' text format."""
        return self._metrics.export()

    def begin(self, request: EstimateRequest) -> LocalWork:
        """Admit a request, and return at once; see Estimators.begin.

        Raises:
            QueueFullError: there is no place for all videos of the request.
            VideoStoppedError: the estimators are shutting down.
        """
        work = LocalWork(request, self._forget)
        with self._condition:
            if self._closing:
                raise VideoStoppedError("the estimators are shutting down")
            self._check_place(work)
            self._works.append(work)
            self._condition.notify_all()
        return work

    def close(self) -> None:
        """Refuse new requests, finish the admitted ones, end the processes. May be called twice."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _check_place(self, work: LocalWork) -> None:
        """Refuse a request beyond the limits. Videos that idle processes take at once do not count as waiting."""
        limits = self._settings
        waiting = self._count_waiting() + len(work.request.videos) - len(self._idle)
        if waiting > limits.max_waiting:
            raise QueueFullError(f"{waiting} videos would wait; at most {limits.max_waiting} may")
        held, more = self._sum_held_bytes(), work.size_bytes
        if held and held + more > limits.max_bytes:
            raise QueueFullError(
                f"{held} bytes of videos are held, the limit is {limits.max_bytes}; {more} more do not fit"
            )

    def _count_waiting(self) -> int:
        return sum(len(work.waiting) for work in self._works)

    def _sum_held_bytes(self) -> int:
        return sum(work.size_bytes for work in self._works)

    def _measure_held_bytes(self) -> int:
        with self._condition:
            return self._sum_held_bytes()

    def _count_replaced(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for process in self._processes:
            total.update(process.replaced)
        return total

    def _forget(self, work: LocalWork) -> None:
        with self._condition:
            work.over = True
            work.waiting.clear()
            if not work.running and work in self._works:
                self._works.remove(work)
                self._condition.notify_all()

    def _feed(self, process: EstimatorProcess) -> None:
        """Give one process one video after another, until the estimators close."""
        while (video := self._take(process)) is not None:
            work, started = video.work, time.monotonic()
            self._metrics.count_wait(started - work.admitted)
            outcome = self._estimate(process, video)
            code = DONE if isinstance(outcome, Estimate) else outcome.code
            if code != DONE:
                facts = {"request_id": work.request.request_id, "video": video.index, "code": code}
                log.info("a video was not estimated", extra=facts)
            self._metrics.count_video(code, time.monotonic() - started)
            with self._condition:
                work.running -= 1
                if not work.running and not work.waiting and work in self._works:
                    self._works.remove(work)
                self._idle.append(process)
                self._condition.notify_all()
            work.report(Finished(video.index, outcome))
        process.close()
        process.kill()

    def _take(self, process: EstimatorProcess) -> _QueuedVideo | None:
        """Wait for this process's next video; None: no video will come any more."""
        with self._condition:
            while True:
                work = self._turns.choose(self._works)
                if work is not None and self._idle[-1] is process:
                    self._idle.pop()
                    self._turns.note(work.request.client)
                    work.running += 1
                    self._condition.notify_all()
                    return _QueuedVideo(work, work.waiting.popleft())
                if self._closing and work is None:
                    self._idle.remove(process)
                    self._condition.notify_all()
                    return None
                self._condition.wait()

    def _estimate(self, process: EstimatorProcess, video: _QueuedVideo) -> Estimate | VideoError | EstimatorError:
        work, index = video.work, video.index

        def report(done: int, total: int | None) -> None:
            self._metrics.count_frame()
            work.report(Progress(index, done, total))

        try:
            return process.estimate(
                work.request.videos[index],
                limits=work.request.limits,
                on_frame=report,
                is_unwanted=work.is_unwanted,
            )
        except (VideoError, EstimatorError) as error:
            return error
        except Exception:  # the last resort: if the thread ended, its process and its video would be lost in silence
            log.exception("an estimator's thread failed")
            process.kill()
            process.replaced["lost"] += 1
            return EstimatorLostError("the process that worked on the video was lost; send the video again")


def _measure_resident_bytes(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):  # it has just ended
        return 0
    return int(pages) * _PAGE_BYTES
