"""`python -m checks.pose_header`: makes the header of the .pose files that the playground writes; `--check` compares.

A page has no MediaPipe in Python to ask for its layout of points, so the header that the service writes is kept as a
file beside the page's writer. Width and height are 0 in it; the writer fills them in.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from checks.sources import ROOT

HEADER = ROOT / "app" / "playground" / "pose" / "holistic_header.bin"


def build_bytes() -> bytes:
    """Build the bytes of the header of a pose that the service estimates."""
    from video.holistic import build_header  # takes seconds, because it loads MediaPipe

    file = io.BytesIO()
    build_header(0, 0).write(file)
    return file.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the header, or compare it; the exit status: 0 done, 1 it differs, 2 usage error."""
    parser = argparse.ArgumentParser(prog="python -m checks.pose_header", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is another")
    parser.add_argument("--file", type=Path, default=HEADER, help="the file; default: the playground's")
    wanted = parser.parse_args(arguments)
    header = build_bytes()
    if not wanted.check:
        wanted.file.write_bytes(header)
        return 0
    if wanted.file.exists() and wanted.file.read_bytes() == header:
        return 0
    print(f"{wanted.file.name} is not the header that the service writes; run: python -m checks.pose_header")
    return 1


if __name__ == "__main__":
    sys.exit(main())
