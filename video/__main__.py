"""Videos by command.

`python -m video estimate VIDEO… --out DIR | features VIDEO… --network s3d --weights FILE --out DIR |
view FILE.pose --out clip.mp4 | serve --address SOCKET`
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from models.video_networks.catalog import VIDEO_NETWORKS
from poses.errors import PoseError
from processes.commands import name_command, parse_positive, parse_share, print_error
from processes.logs import LOG_LEVELS, configure_logging
from processes.settings import SettingsError
from processes.stop_signals import call_at_stop
from processes.version import PRODUCT
from video.commands import estimate_videos, extract_features, view_pose
from video.errors import VideoError
from video.estimates import LEAST_SEEN
from video.folders import BatchError
from video.local import LocalEstimators
from video.server import EstimatorServer
from video.settings import EstimatorSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 something failed, 2 usage error, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except BrokenPipeError:  # `… | head` is no fault; a flush at exit must not report it either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (BatchError, PoseError, VideoError, OSError, ValueError) as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name_command("video"), description="From videos to poses.")
    parser.add_argument("--version", action="version", version=PRODUCT)
    commands = parser.add_subparsers(required=True, metavar="estimate | features | view | serve")

    estimating = commands.add_parser("estimate", help="estimate the poses in videos; resumes where it was interrupted")
    estimating.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="a file, or a folder with videos")
    estimating.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the .pose files go")
    cores = len(os.sched_getaffinity(0))
    estimating.add_argument(
        "--jobs", type=int, default=cores, metavar="N", help="videos at a time (default: the cores)"
    )
    estimating.add_argument(
        "--keep-suffixes", action="store_true", help="name the pose of clip.mp4 clip.mp4.pose, not clip.pose"
    )
    estimating.add_argument(
        "--min-seen",
        type=parse_share,
        default=LEAST_SEEN,
        metavar="SHARE",
        help="least share of frames in which somebody is seen; a video with less fails (default: %(default)s)",
    )
    estimating.add_argument("--force", action="store_true", help="estimate again what is there")
    estimating.set_defaults(run=estimate_videos)

    _add_features(commands.add_parser("features", help="compute a network's features of videos; resumes as estimate"))

    viewing = commands.add_parser("view", help="draw the skeleton")
    viewing.add_argument("pose", type=Path, metavar="FILE.pose")
    viewing.add_argument("--out", type=Path, required=True, metavar="FILE", help=".mp4, .gif, or .png for a sheet")
    viewing.add_argument("--video", type=Path, metavar="SRC", help="draw over this video")
    viewing.set_defaults(run=view_pose)

    serving = commands.add_parser("serve", help="the queue of videos behind a socket; gunicorn starts its own")
    serving.add_argument("--address", required=True, help="path of the Unix socket to listen on")
    serving.add_argument("--parent", type=int, help="process id whose end ends this one")
    serving.add_argument("--settings", metavar="JSON", help="every setting at once, instead of the two options below")
    serving.add_argument("--workers", help="processes with one tracker each (default: one a core)")
    serving.add_argument("--max-waiting", help=f"videos that may wait (default: {EstimatorSettings.max_waiting})")
    level = os.environ.get("SIGNCLIP_LOG_LEVEL") or "INFO"
    serving.add_argument("--log-level", type=str.upper, choices=LOG_LEVELS, default=level)
    serving.set_defaults(run=serve)
    return parser


def _add_features(extracting: argparse.ArgumentParser) -> None:
    extracting.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="a file, or a folder with videos")
    extracting.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the .npy files go")
    known = "; ".join(f"{network.name} takes {network.weights}" for network in VIDEO_NETWORKS.values())
    extracting.add_argument("--network", choices=VIDEO_NETWORKS, required=True)
    extracting.add_argument("--weights", type=Path, required=True, metavar="FILE", help=f"as published: {known}")
    extracting.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0 (default: %(default)s)")
    extracting.add_argument(
        "--batch", type=parse_positive, default=8, metavar="N", help="windows at a time (default: %(default)s)"
    )
    extracting.add_argument(
        "--keep-suffixes", action="store_true", help="name the features of clip.mp4 clip.mp4.npy, not clip.npy"
    )
    extracting.add_argument("--force", action="store_true", help="compute again what is there")
    extracting.set_defaults(run=extract_features)


def serve(options: argparse.Namespace) -> int:
    """Serve until a signal or the end of the parent process; what was admitted is finished first."""
    try:
        settings = _read_settings(options)
    except SettingsError as error:
        print(f"python -m video serve: {error}", file=sys.stderr)
        return 2
    configure_logging(options.log_level)
    estimators = LocalEstimators(settings)
    server = EstimatorServer(estimators, options.address, parent=options.parent)
    call_at_stop(server.stop)
    server.serve()
    return 0


def _read_settings(options: argparse.Namespace) -> EstimatorSettings:
    """Read the settings from one JSON object, as a supervisor gives them, or from an option for each.

    Raises:
        SettingsError: a setting is wrong.
    """
    given = {name: getattr(options, name) for name in ("workers", "max_waiting")}
    values = {name: value for name, value in given.items() if value is not None}
    if options.settings is None:
        return EstimatorSettings.from_values(values)
    if values:
        raise SettingsError(f"--settings gives every setting; leave out --{next(iter(values)).replace('_', '-')}")
    return EstimatorSettings.from_json(options.settings)


if __name__ == "__main__":
    sys.exit(main())
