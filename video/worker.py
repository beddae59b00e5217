"""`python -m video.worker DESCRIPTOR BYTES`: a process with one tracker, which estimates one video after another.

Its parent (video/worker_process.py) starts it with one end of a pair of sockets and may kill it at any time.
"""

from __future__ import annotations

import os
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from video import worker_messages as messages
from video.errors import EstimationStoppedError, VideoError, VideoTooLargeError
from video.estimates import VideoLimits

if TYPE_CHECKING:
    from video.holistic import Tracker

_PAGE_BYTES = resource.getpagesize()


def main(descriptor: int, address_space_bytes: int) -> int:
    """Answer videos until the parent hangs up."""
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    # A crash leaves no image of somebody's video on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _keep_tracebacks_only()
    _leave_out_plotting()
    from video.holistic import Tracker

    connection = Connection(descriptor)
    tracker = Tracker()
    messages.send_ready(connection, resident_bytes=_resident_bytes())
    # From here on there is nothing to write, for nobody.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    while True:
        try:
            order = messages.receive_order(connection)
            if order is None:  # a stop that came after the end
                continue
            usable = _answer(connection, tracker, *order)
        except (EOFError, ConnectionError):
            # Threads of the graph may be at work for nobody; an orderly end would wait for them.
            os._exit(0)
        if not usable:
            return 1
        # Here, not when the next video comes: it then finds the tracker as good as new.
        tracker.reset()


def _answer(connection: Connection, tracker: Tracker, video: bytes, limits: VideoLimits) -> bool:
    """Estimate one video and say what came of it; False when the tracker may have suffered."""
    from video.holistic import estimate

    def report(done: int, total: int | None) -> None:
        messages.send_frame_done(connection, done, total)
        if connection.poll():
            messages.receive_order(connection)
            raise EstimationStoppedError("nobody wants the result any more")

    try:
        done = estimate(video, tracker, limits=limits, on_frame=report)
    except MemoryError:
        error = VideoTooLargeError("the video needs more memory than one may have")
        messages.send_failed(connection, error, resident_bytes=_resident_bytes(), is_worn=True)
        return False
    except (VideoError, EstimationStoppedError) as error:
        messages.send_failed(connection, error, resident_bytes=_resident_bytes())
        return True
    messages.send_estimated(
        connection, done.pose, facts=done.facts, warnings=done.warnings, resident_bytes=_resident_bytes()
    )
    return True


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


def _keep_tracebacks_only() -> None:
    """Let Python's errors reach the log and keep out what MediaPipe and decoders write to the descriptor."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _leave_out_plotting() -> None:
    """Give MediaPipe an empty Matplotlib: it would only plot with it, and each process would leave a folder behind.

    Without a home that can be written to, Matplotlib makes a temporary folder and removes it at an orderly end, which
    a process that may be killed at any time does not have. It is also a third of the time until a tracker is ready.
    """
    package, plotting = ModuleType("matplotlib"), ModuleType("matplotlib.pyplot")
    package.pyplot = plotting  # type: ignore[attr-defined]
    sys.modules |= {"matplotlib": package, "matplotlib.pyplot": plotting}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
