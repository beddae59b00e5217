"""`python -m poses inspect FILE.pose`: what a pose holds, and what will not embed well."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from poses.errors import PoseError
from poses.headers import ReadLimits
from poses.quality import report, share_with_body
from poses.reading import read
from processes.version import PRODUCT

# A user's own files may be longer than what a service takes.
_LIMITS = ReadLimits(max_bytes=8 * 1024**3, max_frames=1_000_000)
_MOVED = ("estimate", "view")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 something failed, 2 usage error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in _MOVED:
        print(f"error: this command is now: python -m video {arguments[0]}", file=sys.stderr)
        return 2
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except BrokenPipeError:  # `… | head` is no fault; a flush at exit must not report it either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (PoseError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m poses", description="What is in a .pose file.")
    parser.add_argument("--version", action="version", version=PRODUCT)
    commands = parser.add_subparsers(required=True, metavar="inspect")

    inspecting = commands.add_parser("inspect", help="what a .pose file holds, and what will not embed well")
    inspecting.add_argument("pose", type=Path, metavar="FILE.pose")
    inspecting.add_argument("--json", action="store_true", help="for programs")
    inspecting.set_defaults(run=inspect_pose)

    return parser


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


if __name__ == "__main__":
    sys.exit(main())
