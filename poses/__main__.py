"""python -m poses estimate VIDEO… --out DIR | inspect FILE.pose | view FILE.pose --out clip.mp4"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .batch import OWN_FILES, Batch, BatchError, Failure, Rate, Task, plan, write_failures
from .errors import PoseError
from .headers import ReadLimits
from .quality import report, share_with_body
from .reading import read
from .video_errors import VideoError

# Files of one's own may be longer than what a service takes.
_LIMITS = ReadLimits(max_bytes=8 * 1024**3, max_frames=1_000_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 something failed, 2 misspelt, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except BrokenPipeError:  # `… | head` is no fault; a flush at exit must not report it either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (BatchError, PoseError, VideoError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m poses", description="Poses of videos, and what is in them.")
    commands = parser.add_subparsers(required=True, metavar="estimate | inspect | view")

    estimating = commands.add_parser("estimate", help="estimate the poses in videos; resumes where it was interrupted")
    estimating.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="a file, or a folder with videos")
    estimating.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the .pose files go")
    cores = len(os.sched_getaffinity(0))
    estimating.add_argument(
        "--jobs", type=int, default=cores, metavar="N", help="videos at a time (default: the cores)"
    )
    estimating.add_argument("--force", action="store_true", help="estimate again what is there")
    estimating.set_defaults(run=estimate_videos)

    inspecting = commands.add_parser("inspect", help="what a .pose file holds, and what will not embed well")
    inspecting.add_argument("pose", type=Path, metavar="FILE.pose")
    inspecting.add_argument("--json", action="store_true", help="for programs")
    inspecting.set_defaults(run=inspect_pose)

    viewing = commands.add_parser("view", help="draw the skeleton")
    viewing.add_argument("pose", type=Path, metavar="FILE.pose")
    viewing.add_argument("--out", type=Path, required=True, metavar="FILE", help=".mp4, .gif, or .png for a sheet")
    viewing.add_argument("--video", type=Path, metavar="SRC", help="draw over this video")
    viewing.set_defaults(run=view_pose)
    return parser


def estimate_videos(options: argparse.Namespace) -> int:
    """Estimate what is not there yet; prints a summary and, where some failed, where they are listed."""
    tasks = plan(options.videos, options.out)
    wanted = [task for task in tasks if options.force or not task.pose.exists()]
    if len(wanted) < len(tasks):
        print(f"{len(tasks) - len(wanted)} of {len(tasks)} are there already")
    options.out.mkdir(parents=True, exist_ok=True)
    progress = _Progress(wanted)
    batch = Batch(jobs=options.jobs, on_frame=progress.frame, on_end=progress.end)
    rate = Rate()
    try:
        failures = batch.run(wanted)
    except KeyboardInterrupt:
        write_failures(progress.failures, options.out)
        raise
    finally:
        progress.close()
    listed = write_failures(failures, options.out)
    print(f"{len(wanted) - len(failures)} poses, {batch.frames} frames, {rate.of(batch.frames):.1f} frames/s")
    if listed:
        print(f"{len(failures)} failed; see {listed}", file=sys.stderr)
    return 1 if failures else 0


class _Progress:
    """A bar that moves by bytes of video, for frames are not known beforehand; it tells frames per second."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        from tqdm import tqdm

        self.failures: list[Failure] = []
        # A link to nowhere has no size; that it cannot be read is told when its turn comes.
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


def inspect_pose(options: argparse.Namespace) -> int:
    """Print the quality report, with layout and size."""
    pose = read(options.pose.read_bytes(), limits=_LIMITS)
    size = pose.header.dimensions
    facts = {
        **asdict(report(pose)),
        "width": size.width,
        "height": size.height,
        "body": share_with_body(pose),
        "components": {component.name: len(component.points) for component in pose.header.components},
    }
    if options.json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        shown = f"{value:.3g}" if isinstance(value, float) else value
        if isinstance(value, dict):
            shown = ", ".join(f"{key} {count}" for key, count in value.items())
        elif isinstance(value, tuple):
            shown = "; ".join(value) or "none"
        print(f"{name:12} {shown}")
    return 0


def view_pose(options: argparse.Namespace) -> int:
    """Draw a pose into a file."""
    from .view import draw, save

    pose = read(options.pose.read_bytes(), limits=_LIMITS)
    video = options.video.read_bytes() if options.video is not None else None
    expected = len(pose.body.data)
    if video is not None and not _belong_together(video, expected):
        print(f"warning: {options.video} has other frames than the {expected} of {options.pose}", file=sys.stderr)
    frames = save(draw(pose, video), options.out, fps=float(pose.body.fps), frames=expected)
    print(f"{options.out}: {frames} frames")
    return 0


def _belong_together(video: bytes, frames: int) -> bool:
    from .video import VideoReader

    with VideoReader(video, OWN_FILES) as reader:
        declared = reader.declared_frames
    # Headers round, and count what never shows.
    return declared is None or abs(declared - frames) <= max(2, 0.1 * frames)


if __name__ == "__main__":
    sys.exit(main())
