"""Turns folders of videos into folders of poses: in several processes, resumable, with a list of what failed."""

from __future__ import annotations

import csv
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from poses.headers import ReadLimits
from poses.reading import read
from processes.file_kinds import VIDEO_SUFFIXES
from processes.files import replace_file, write_file
from processes.os_errors import describe_reason
from video.errors import EstimationStoppedError, EstimatorError, VideoError
from video.estimates import LEAST_SEEN, VideoLimits, check_seen
from video.settings import EstimatorHealth
from video.worker_process import EstimatorProcess

FAILURES = "failures.csv"
# Files of one's own are no threat: as large as fits into a process beside its tracker, and as long as two hours at 25
# frames a second. A frame's points take 9 KB, and four times that where they become a file.
OWN_FILES = VideoLimits(max_bytes=1024**3, max_seconds=4 * 3600, max_frames=200_000)
OWN_POSES = ReadLimits(max_bytes=8 * 1024**3, max_frames=1_000_000)
_OWN_HEALTH = EstimatorHealth(address_space_bytes=EstimatorHealth.address_space_bytes + 200_000 * 4 * 10_000)
_SHOWN_SUFFIXES = 6


class BatchError(Exception):
    """The videos cannot be worked on as they were given."""


@dataclass(frozen=True)
class Task:
    """A video and where what is made of it goes."""

    video: Path
    target: Path


@dataclass(frozen=True)
class Failure:
    """A video without a pose, and why.

    Attributes:
        code: the error's stable name; "file" for what the system refuses, "same_pose" (or "same_npy") for what was not
            tried.
    """

    video: Path
    code: str
    detail: str


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what cannot be."""

    tasks: list[Task]
    failures: list[Failure]


def plan(videos: Iterable[Path], out: Path, *, keep_suffixes: bool = False, suffix: str = ".pose") -> Plan:
    """Find the videos and name their poses, or other files; what is in folders keeps its place in them.

    Videos that would have the same file are left out. Hidden files are not looked for in folders: macOS leaves a "._"
    file beside each video that it copies.

    Args:
        videos: files, which may be called anything, and folders.
        out: where the files go.
        keep_suffixes: name the pose of clip.mp4 clip.mp4.pose, not clip.pose.
        suffix: of the files.
    Raises:
        BatchError: a path is not there, or there are no videos.
    """
    found: dict[Path, list[Path]] = {}
    places = list(videos)
    for given in places:
        if not given.exists():
            raise BatchError(f"{given} is not there")
        for video in _find_videos(given) if given.is_dir() else [given]:
            place = video.relative_to(given) if given.is_dir() else Path(video.name)
            named = place.with_name(place.name + suffix) if keep_suffixes else place.with_suffix(suffix)
            same = found.setdefault(out / named, [])
            if all(other.resolve() != video.resolve() for other in same):
                same.append(video)
    if not found:
        raise BatchError(_describe_nothing(places))
    failures = [
        Failure(
            video,
            f"same_{suffix.removeprefix('.')}",
            f"{' and '.join(str(other) for other in same)} would {'both' if len(same) == 2 else 'all'} become "
            f"{target}; rename them, or give each a file of its own with --keep-suffixes",
        )
        for target, same in found.items()
        if len(same) > 1
        for video in same
    ]
    return Plan([Task(same[0], target) for target, same in found.items() if len(same) == 1], failures)


def _find_videos(folder: Path) -> list[Path]:
    return sorted(path for path in _visible_files(folder) if path.suffix.lower() in VIDEO_SUFFIXES)


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if not path.is_dir() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _describe_nothing(given: Sequence[Path]) -> str:
    """Say that there are no videos, and what is there instead."""
    suffixes = Counter(path.suffix.lower() or path.name for folder in given for path in _visible_files(folder))
    present = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(_SHOWN_SUFFIXES)) or "no files"
    known = ", ".join(sorted(VIDEO_SUFFIXES))
    return f"there are no videos in {', '.join(map(str, given))}; there are {present}. Videos end in {known}"


def _ignore(*_: object) -> None:
    """Take no notice of progress."""


class Batch:
    """Works through tasks.

    Args:
        jobs: videos at a time.
        limits: what each may be.
        min_seen: least share of a video's frames in which somebody must be seen, as the service asks for.
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
        min_seen: float = LEAST_SEEN,
        on_frame: Callable[[Task, int, int | None], None] | None = None,
        on_end: Callable[[Task, Failure | None], None] | None = None,
    ) -> None:
        self._jobs = jobs
        self._limits = limits
        self._min_seen = min_seen
        self._on_frame = on_frame or _ignore
        self._on_end = on_end or _ignore
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
            failure = Failure(task.video, "file", describe_reason(error))
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
        check_seen(read(done.pose, limits=OWN_POSES), min_seen=self._min_seen)
        write_file(task.target, done.pose)  # whole, so that an interrupted run leaves nothing that looks done

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
    with replace_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "code", "detail"])
        rows.writerows([str(failure.video), failure.code, failure.detail] for failure in failures)
    return path


class Rate:
    """Frames per second since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def of(self, frames: int) -> float:
        """How many of these frames were done in a second."""
        return frames / max(1e-9, time.monotonic() - self._started)
