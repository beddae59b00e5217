"""`python -m poses inspect FILE.pose`: what a pose holds, which features it has, and what will not embed well."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pose_format import Pose

from poses.errors import PoseError
from poses.feature_kinds import FEATURE_KINDS
from poses.features import find_layout_lacks
from poses.headers import ReadLimits
from poses.layouts import recognize_layout
from poses.points import make_layout_key
from poses.quality import measure_share_with_body, report
from poses.reading import read
from poses.trim import find_signing
from processes.commands import name_command, print_error
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
        print_error(error)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name_command("poses"), description="What is in a .pose file.")
    parser.add_argument("--version", action="version", version=PRODUCT)
    commands = parser.add_subparsers(required=True, metavar="inspect")

    inspecting = commands.add_parser("inspect", help="what a .pose file holds, and what will not embed well")
    inspecting.add_argument("pose", type=Path, metavar="FILE.pose", help="may be packed: .pose.gz, .pose.zst")
    inspecting.add_argument("--json", action="store_true", help="for programs")
    inspecting.set_defaults(run=inspect_pose)

    return parser


def inspect_pose(options: argparse.Namespace) -> int:
    """Print the quality report, with layout and size.

    Raises:
        OSError: the file cannot be read.
        PoseError: it is no usable pose.
    """
    facts = _describe(read(options.pose.read_bytes(), limits=_LIMITS))
    if options.json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        for line in _lines(value):
            print(f"{name:12} {line}")
            name = ""
    return 0


def _describe(pose: Pose) -> dict[str, Any]:
    size = pose.header.dimensions
    known = recognize_layout(make_layout_key(pose.header))
    features = {kind: find_layout_lacks(pose.header, kind) for kind in FEATURE_KINDS}
    # Of several people the report describes the first, and so does this.
    signing = find_signing(pose, 0)
    return {
        **asdict(report(pose)),
        "signing": [signing.start, signing.end] if signing.fault is None else signing.fault,
        "width": size.width,
        "height": size.height,
        "body": measure_share_with_body(pose),
        "layout": known.name,
        "components": {component.name: len(component.points) for component in pose.header.components},
        "features": {kind: lacks or "yes" for kind, lacks in features.items()},
        **({"advice": known.advice} if any(features.values()) else {}),
    }


def _lines(value: Any) -> list[str]:
    """A value as people read it."""
    if isinstance(value, float):
        return [f"{value:.3g}"]
    if isinstance(value, dict):
        return [f"{key}: {found}" for key, found in value.items()]
    if isinstance(value, list):
        return [f"frames {value[0]} to {value[1] - 1}, which trimming keeps"]
    if isinstance(value, tuple):
        return list(value) or ["none"]
    return ["unknown" if value is None else str(value)]


if __name__ == "__main__":
    sys.exit(main())
