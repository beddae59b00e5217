"""Makes poses of the clips that are videos, so that whatever follows reads poses only."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from corpora.examples import Example
from corpora.readers.media import is_video
from dictionary.errors import SourceError
from dictionary.interface import OnProgress
from video.folders import Batch, Failure, Task

# Clips that are embedded and stored together. An interrupted run loses at most so many poses, or the work on so many
# videos: a tracker takes about as long as the video plays.
_POSES_AT_ONCE = 64
_VIDEOS_AT_ONCE = 8


@dataclass(frozen=True)
class EstimatedClips:
    """Clips whose files hold poses.

    Attributes:
        clips: in their order; of a video, the pose that was estimated.
        failures: why the others have none, by id.
    """

    clips: list[Example]
    failures: dict[str, str]


def split_into_batches(clips: Sequence[Example]) -> Iterator[list[Example]]:
    """Split clips into batches that are worked on together: first the poses, then the videos.

    All clips of one recording are in one batch, so that it is estimated once.
    """
    poses = [clip for clip in clips if not is_video(clip.path)]
    for start in range(0, len(poses), _POSES_AT_ONCE):
        yield poses[start : start + _POSES_AT_ONCE]
    videos = sorted((clip for clip in clips if is_video(clip.path)), key=lambda clip: clip.path)
    recordings = [list(own) for _, own in groupby(videos, key=lambda clip: clip.path)]
    for start in range(0, len(recordings), _VIDEOS_AT_ONCE):
        yield [clip for own in recordings[start : start + _VIDEOS_AT_ONCE] for clip in own]


@contextmanager
def estimate_clips(clips: Sequence[Example], *, jobs: int, on_progress: OnProgress) -> Iterator[EstimatedClips]:
    """Estimate the pose of every clip that is a video, with the estimators of `python -m video estimate`.

    Args:
        jobs: videos at a time.
        on_progress: called with the videos that are done, and their number.
    Yields:
        The clips. The files of estimated poses are removed when the block ends.
    """
    videos = sorted({clip.path for clip in clips if is_video(clip.path)})
    with tempfile.TemporaryDirectory(prefix="signclip-poses-") as folder:
        # Named as `--keep-suffixes` names them, so that an entry's source still says which video it was.
        poses = {video: Path(folder, str(number), f"{video.name}.pose") for number, video in enumerate(videos)}
        failed = _estimate(poses, jobs, on_progress) if poses else {}
        yield EstimatedClips(
            [replace(clip, path=poses.get(clip.path, clip.path)) for clip in clips if clip.path not in failed],
            {clip.id: failed[clip.path] for clip in clips if clip.path in failed},
        )


@contextmanager
def estimate_file(path: Path) -> Iterator[Path]:
    """Estimate the pose of a file if it is a video.

    Yields:
        The file itself, or the file of its pose, which is removed when the block ends.
    Raises:
        SourceError: the video has no pose.
    """
    poses = [Example(id="", path=path, text="", label="", split="all")] if is_video(path) else []
    with estimate_clips(poses, jobs=1, on_progress=lambda _done, _total: None) as estimated:
        if estimated.failures:
            raise SourceError(f"{path}: {next(iter(estimated.failures.values()))}")
        yield estimated.clips[0].path if poses else path


def _estimate(poses: dict[Path, Path], jobs: int, on_progress: OnProgress) -> dict[Path, str]:
    """Estimate videos into files; returns why some have no pose."""
    ended, lock = 0, threading.Lock()

    def on_end(_task: Task, _failure: Failure | None) -> None:
        nonlocal ended
        with lock:
            ended += 1
            on_progress(ended, len(poses))

    tasks = [Task(video, pose) for video, pose in poses.items()]
    return {failure.video: failure.detail for failure in Batch(jobs=jobs, on_end=on_end).run(tasks)}
