"""The estimators of this process: one queue, a thread for each estimator process."""

import logging
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
from video.worker_process import EstimatorProcess

log = logging.getLogger(__name__)
# How often a waiting call asks whether its client is still there, in seconds.
_GONE_S = 0.1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class LocalWork:
    """A request in this process: what waits of it, what runs, and what there is to tell."""

    def __init__(self, request: EstimateRequest, forget: Callable[["LocalWork"], None]) -> None:
        self.request = request
        self.over = False
        self.admitted = time.monotonic()
        self.waiting = deque(range(len(request.videos)))
        self.running = 0
        self._forget = forget
        self._looked = time.monotonic()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.request.videos))

    def tell(self, event: Event) -> None:
        self._events.put(event)

    def is_unwanted(self) -> bool:
        deadline = self.request.deadline
        return self.over or (deadline is not None and time.monotonic() >= deadline)

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:
        unfinished = len(self.request.videos)
        while unfinished:
            event = self._next(is_disconnected)
            unfinished -= isinstance(event, Finished)
            yield event

    def close(self) -> None:
        self._forget(self)

    def _next(self, is_disconnected: Callable[[], bool] | None) -> Event:
        deadline = self.request.deadline
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            patience = left if is_disconnected is None else min(_GONE_S, _GONE_S if left is None else left)
            try:
                event = self._events.get(timeout=patience)
            except queue.Empty:
                event = None
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceededError("the deadline passed before every video was looked at")
            # By the clock, not when nothing happens: frames come faster than anyone leaves.
            if is_disconnected is not None and time.monotonic() - self._looked >= _GONE_S:
                self._looked = time.monotonic()
                if is_disconnected():
                    raise CancelledError("whoever asked has gone")
            if event is not None:
                return event


@dataclass(eq=False)
class _Clip:
    work: LocalWork
    index: int


class LocalEstimators:
    """Estimators whose queue is here. Build them after a fork, never before; processes start when videos come."""

    def __init__(self, settings: EstimatorSettings | None = None) -> None:
        self._settings = settings = settings or EstimatorSettings()
        self._condition = threading.Condition()
        self._works: list[LocalWork] = []
        self._closing = False
        self._processes = [EstimatorProcess(settings.health) for _ in range(settings.count_workers())]
        # The last to rest is the first to work: its process is there already.
        self._idle = list(self._processes)
        self._threads = [
            threading.Thread(target=self._keep, args=(process,), name=f"estimator-{number}", daemon=True)
            for number, process in enumerate(self._processes)
        ]
        self._metrics = EstimatorMetrics()
        self._watch()
        for thread in self._threads:
            thread.start()

    def _watch(self) -> None:
        watch = self._metrics.watch
        watch("queue_videos", "Videos that wait for a process", lambda: self.waiting)
        watch("held_bytes", "Videos that wait or run", self._held_bytes)
        watch("processes", "Processes with a tracker", lambda: len(self.pids))
        watch("processes_resident_bytes", "Memory of them together", lambda: sum(map(_resident_bytes, self.pids)))
        self._metrics.watch_counts("restarts", "Processes given up and replaced", "reason", self._given_up)

    @property
    def pids(self) -> list[int]:
        """Process ids of the estimator processes that run now."""
        return [process.pid for process in self._processes if process.pid is not None]

    @property
    def waiting(self) -> int:
        """Videos that wait for a process."""
        with self._condition:
            return self._waiting()

    def export_metrics(self) -> str:
        return self._metrics.exposition()

    def begin(self, request: EstimateRequest) -> LocalWork:
        work = LocalWork(request, self._forget)
        with self._condition:
            if self._closing:
                raise VideoStoppedError("the estimators are shutting down")
            self._check_place(work)
            self._works.append(work)
            self._condition.notify_all()
        return work

    def close(self) -> None:
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _check_place(self, work: LocalWork) -> None:
        """Refuse what would wait beyond the limits; what a process takes at once does not wait."""
        limits = self._settings
        wait = self._waiting() + len(work.request.videos) - len(self._idle)
        if wait > limits.max_waiting:
            raise QueueFullError(f"{wait} videos would wait; at most {limits.max_waiting} may")
        held = self._held()
        if held and held + work.size_bytes > limits.max_bytes:
            raise QueueFullError(f"videos of {held} bytes are held already; at most {limits.max_bytes} may be")

    def _waiting(self) -> int:
        return sum(len(work.waiting) for work in self._works)

    def _held(self) -> int:
        return sum(work.size_bytes for work in self._works)

    def _held_bytes(self) -> int:
        with self._condition:
            return self._held()

    def _given_up(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for process in self._processes:
            total.update(process.given_up)
        return total

    def _forget(self, work: LocalWork) -> None:
        with self._condition:
            work.over = True
            work.waiting.clear()
            if not work.running and work in self._works:
                self._works.remove(work)
                self._condition.notify_all()

    def _keep(self, process: EstimatorProcess) -> None:
        """Look after one process: give it one video after the other."""
        while (clip := self._take(process)) is not None:
            work, started = clip.work, time.monotonic()
            self._metrics.waited(started - work.admitted)
            outcome = self._estimate(process, clip)
            code = DONE if isinstance(outcome, Estimate) else outcome.code
            self._metrics.ended(code, time.monotonic() - started)
            with self._condition:
                work.running -= 1
                if not work.running and not work.waiting and work in self._works:
                    self._works.remove(work)
                self._idle.append(process)
                self._condition.notify_all()
            work.tell(Finished(clip.index, outcome))
        process.close()
        process.kill()

    def _take(self, process: EstimatorProcess) -> _Clip | None:
        """Wait for this process's next video; None when there will be none."""
        with self._condition:
            while True:
                # Who has the fewest at work comes next, so that a request of many does not keep out one of one.
                work = min((work for work in self._works if work.waiting), key=lambda work: work.running, default=None)
                if work is not None and self._idle[-1] is process:
                    self._idle.pop()
                    work.running += 1
                    self._condition.notify_all()
                    return _Clip(work, work.waiting.popleft())
                if self._closing and work is None:
                    self._idle.remove(process)
                    self._condition.notify_all()
                    return None
                self._condition.wait()

    def _estimate(self, process: EstimatorProcess, clip: _Clip) -> Estimate | VideoError | EstimatorError:
        work, index = clip.work, clip.index

        def tell(done: int, total: int | None) -> None:
            self._metrics.looked_at()
            work.tell(Progress(index, done, total))

        try:
            return process.estimate(
                work.request.videos[index],
                limits=work.request.limits,
                on_frame=tell,
                unwanted=work.is_unwanted,
            )
        except (VideoError, EstimatorError) as error:
            return error
        except Exception:  # the last resort: a thread that dies in silence takes a process and a video with it
            log.exception("an estimator's thread stumbled")
            process.kill()
            process.given_up["lost"] += 1
            return EstimatorLostError("the process that looked at the video was lost; send it again")


def _resident_bytes(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):  # it has just ended
        return 0
    return int(pages) * _PAGE_BYTES
