"""What `python -m video estimate`, `features` and `view` do."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence

from models.video_networks.catalog import VIDEO_NETWORKS
from poses.reading import read
from video.folders import OWN_FILES, OWN_POSES, Batch, BatchError, Failure, Rate, Task, plan, write_failures


def estimate_videos(options: argparse.Namespace) -> int:
    """Estimate what is not there yet; prints a summary and, where some failed, where they are listed."""
    planned = plan(options.videos, options.out, keep_suffixes=options.keep_suffixes)
    tasks = planned.tasks
    for failure in planned.failures:
        print(f"{failure.video}: {failure.detail}", file=sys.stderr)
    wanted = _find_missing(tasks, options)
    progress = _Progress(wanted)
    batch = Batch(jobs=options.jobs, min_seen=options.min_seen, on_frame=progress.frame, on_end=progress.end)
    rate = Rate()
    try:
        failures = batch.run(wanted)
    except KeyboardInterrupt:
        write_failures([*planned.failures, *progress.failures], options.out)
        raise
    finally:
        progress.close()
    all_failures = [*planned.failures, *failures]
    listed = write_failures(all_failures, options.out)
    print(f"{len(wanted) - len(failures)} poses, {batch.frames} frames, {rate.of(batch.frames):.1f} frames/s")
    if listed:
        print(f"{len(all_failures)} failed; see {listed}", file=sys.stderr)
    return 1 if all_failures else 0


def _find_missing(tasks: Sequence[Task], options: argparse.Namespace) -> list[Task]:
    wanted = [task for task in tasks if options.force or not task.target.exists()]
    if len(wanted) < len(tasks):
        print(f"{len(tasks) - len(wanted)} of {len(tasks)} are there already")
    options.out.mkdir(parents=True, exist_ok=True)
    return wanted


def extract_features(options: argparse.Namespace) -> int:
    """Compute the features that are not there yet; prints a summary and, where some failed, where they are listed.

    Raises:
        BatchError: the weights or the device cannot be used, or there are no videos.
    """
    from tqdm import tqdm

    from models.backends.choice import choose_device
    from models.errors import ModelsError
    from models.video_networks.loading import load_network
    from video.features import FeatureExtractor

    planned = plan(options.videos, options.out, keep_suffixes=options.keep_suffixes, suffix=".npy")
    for failure in planned.failures:
        print(f"{failure.video}: {failure.detail}", file=sys.stderr)
    network = VIDEO_NETWORKS[options.network]
    try:
        device = choose_device(options.device)
        module = load_network(network, options.weights)
    except ModelsError as error:
        raise BatchError(f"{error} ({network.name} takes {network.weights})") from error
    wanted = _find_missing(planned.tasks, options)
    extractor = FeatureExtractor(network, module, device=device, batch=options.batch)
    with tqdm(total=len(wanted), unit=" videos", disable=None) as bar:

        def show(_: Task, failure: Failure | None) -> None:
            if failure is not None:
                bar.write(f"{failure.video}: {failure.detail}", file=sys.stderr)
            bar.update()

        failures = extractor.run(wanted, show)
    all_failures = [*planned.failures, *failures]
    listed = write_failures(all_failures, options.out)
    print(f"{len(wanted) - len(failures)} files of {network.name} features in {options.out}")
    if listed:
        print(f"{len(all_failures)} failed; see {listed}", file=sys.stderr)
    return 1 if all_failures else 0


class _Progress:
    """A progress bar that counts bytes of video, because the number of frames is unknown beforehand."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        from tqdm import tqdm

        self.failures: list[Failure] = []
        # A broken link has no size. It is reported as unreadable when its turn comes.
        self._sizes = {task: task.video.stat().st_size if task.video.exists() else 0 for task in tasks}
        self._shares: dict[Task, float] = {}
        self._ended = self._frames = 0
        self._rate = Rate()
        self._lock = threading.Lock()
        layout = "{percentage:3.0f} %|{bar}| {elapsed}<{remaining}{postfix}"
        # On a terminal only: a log would get a line for every step.
        self._bar = tqdm(total=sum(self._sizes.values()), bar_format=layout, disable=None)

    def frame(self, task: Task, done: int, total: int | None) -> None:
        with self._lock:
            self._frames += 1
            if total:
                self._move(task, min(1.0, done / total))

    def end(self, task: Task, failure: Failure | None) -> None:
        with self._lock:
            self._ended += 1
            self._move(task, 1.0)
            if failure is not None:
                self.failures.append(failure)
                self._bar.write(f"{failure.video}: {failure.detail}")

    def close(self) -> None:
        self._bar.close()

    def _move(self, task: Task, share: float) -> None:
        before = sum(self._sizes[known] * part for known, part in self._shares.items())
        self._shares[task] = share
        after = sum(self._sizes[known] * part for known, part in self._shares.items())
        speed = f"{self._rate.of(self._frames):.1f} frames/s"
        self._bar.set_postfix_str(f"{self._ended}/{len(self._sizes)} videos, {speed}", refresh=False)
        self._bar.update(after - before)


def view_pose(options: argparse.Namespace) -> int:
    """Draw a pose into a file."""
    from video.drawing import draw, find_rate, save

    pose = read(options.pose.read_bytes(), limits=OWN_POSES)
    video = options.video.read_bytes() if options.video is not None else None
    expected = len(pose.body.data)
    if video is not None and not _belong_together(video, expected):
        print(f"warning: {options.video} has other frames than the {expected} of {options.pose}", file=sys.stderr)
    fps = find_rate(float(pose.body.fps))
    if fps != pose.body.fps and options.out.suffix.lower() != ".png":
        print(f"warning: {pose.body.fps:g} frames per second are no rate; {fps:g} are shown", file=sys.stderr)
    frames = save(draw(pose, video), options.out, fps=fps, frames=expected)
    print(f"{options.out}: {frames} frames")
    return 0


def _belong_together(video: bytes, frames: int) -> bool:
    from video.decoding import VideoReader

    with VideoReader(video, OWN_FILES) as reader:
        declared = reader.declared_frames
    # Headers round, and count what never shows.
    return declared is None or abs(declared - frames) <= max(2, 0.1 * frames)
