"""Folders of videos into folders of poses: several processes, resumable, with a list of what failed."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from processes.files import write_file
from video.errors import EstimationStoppedError, EstimatorError, VideoError
from video.estimates import VideoLimits
from video.settings import EstimatorHealth
from video.worker_process import EstimatorProcess

# What is looked for in folders; a file that is named itself may be called anything.
SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif", ".ts", ".3gp", ".mts", ".m2ts"})
FAILURES = "failures.csv"
# Files of one's own are no threat: as large as fits into a process beside its tracker, and as long as two hours at 25
# frames a second. A frame's points take 9 KB, and four times that where they become a file.
OWN_FILES = VideoLimits(max_bytes=1024**3, max_seconds=4 * 3600, max_frames=200_000)
_OWN_HEALTH = EstimatorHealth(address_space_bytes=EstimatorHealth.address_space_bytes + 200_000 * 4 * 10_000)


class BatchError(Exception):
    """The videos cannot be worked on as they were given."""


@dataclass(frozen=True)
class Task:
    """A video and where its pose goes."""

    video: Path
    pose: Path


@dataclass(frozen=True)
class Failure:
    video: Path
    code: str
    detail: str


def plan(videos: Iterable[Path], out: Path) -> list[Task]:
    """Find the videos and name their poses; what is in folders keeps its place in them.

    Raises:
        BatchError: a path is not there, there are no videos, or two would have the same pose.
    """
    tasks: dict[Path, Task] = {}
    for given in videos:
        if not given.exists():
            raise BatchError(f"{given} is not there")
        found = sorted(path for path in given.rglob("*") if path.suffix.lower() in SUFFIXES and not path.is_dir())
        for video in found if given.is_dir() else [given]:
            place = video.relative_to(given) if given.is_dir() else Path(video.name)
            pose = out / place.with_suffix(".pose")
            if pose in tasks and tasks[pose].video.resolve() != video.resolve():
                raise BatchError(f"{tasks[pose].video} and {video} would both become {pose}")
            tasks[pose] = Task(video, pose)
    if not tasks:
        raise BatchError(f"there are no videos; they are known by their suffixes: {', '.join(sorted(SUFFIXES))}")
    return list(tasks.values())


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


class Batch:
    """Works through tasks.

    Args:
        on_frame: called, from several threads, with a task, the frames done and their total if it is known.
        on_end: called with a task and what went wrong, if anything.

    Attributes:
        frames: estimated so far.
    """

    def __init__(
        self,
        *,
        jobs: int,
        limits: VideoLimits = OWN_FILES,
        on_frame: Callable[[Task, int, int | None], None] | None = None,
        on_end: Callable[[Task, Failure | None], None] | None = None,
    ) -> None:
        self._jobs = jobs
        self._limits = limits
        self._on_frame = on_frame or _nothing
        self._on_end = on_end or _nothing
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._own = threading.local()
        self._processes: list[EstimatorProcess] = []
        self.frames = 0

    def run(self, tasks: Sequence[Task]) -> list[Failure]:
        """Estimate every task's pose; returns what failed, in the order of the tasks."""
        with ThreadPoolExecutor(max_workers=max(1, min(self._jobs, len(tasks)))) as threads:
            try:
                return [failure for failure in threads.map(self._work, tasks) if failure is not None]
            finally:
                self._stopped.set()
                for process in self._processes:
                    process.close()

    def _work(self, task: Task) -> Failure | None:
        if self._stopped.is_set():
            return None
        failure = None
        try:
            self._estimate(task)
        except EstimationStoppedError:
            return None
        except (VideoError, EstimatorError) as error:
            failure = Failure(task.video, error.code, str(error))
        except OSError as error:
            failure = Failure(task.video, "file", f"{error.strerror or error}")
        if self._stopped.is_set():  # its process was taken from it, which is no fault of the video
            return None
        self._on_end(task, failure)
        return failure

    def _estimate(self, task: Task) -> None:
        def on_frame(done: int, total: int | None) -> None:
            with self._lock:
                self.frames += 1
            self._on_frame(task, done, total)

        video = task.video.read_bytes()
        process = self._process()
        done = process.estimate(video, limits=self._limits, on_frame=on_frame, is_unwanted=self._stopped.is_set)
        write_file(task.pose, done.pose)  # whole, so that an interrupted run leaves nothing that looks done

    def _process(self) -> EstimatorProcess:
        """This thread's process."""
        process: EstimatorProcess | None = getattr(self._own, "process", None)
        if process is None:
            process = self._own.process = EstimatorProcess(_OWN_HEALTH)
            with self._lock:
                self._processes.append(process)
        return process


def write_failures(failures: Sequence[Failure], out: Path) -> Path | None:
    """List failures beside the poses, or remove the list of an earlier run; returns where it is."""
    path = out / FAILURES
    if not failures:
        path.unlink(missing_ok=True)
        return None
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "code", "detail"])
        rows.writerows([str(failure.video), failure.code, failure.detail] for failure in failures)
    return path


class Rate:
    """Frames per second since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def of(self, frames: int) -> float:
        return frames / max(1e-9, time.monotonic() - self._started)
