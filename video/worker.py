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
    """Estimate videos until the parent closes its end.

    Args:
        descriptor: file descriptor of this process's end of the pair of sockets.
        address_space_bytes: addresses that this process may reserve.
    Returns:
        the exit status: 1 when another process must take over.
    """
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    # A crash leaves no image of somebody's video on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _keep_tracebacks_only()
    _leave_out_plotting()
    from video.holistic import Tracker

    connection = Connection(descriptor)
    tracker = Tracker()
    messages.send_ready(connection, resident_bytes=_measure_resident_bytes())
    # From here on this process has nothing to write into any file.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    while True:
        try:
            order = messages.receive_order(connection)
            if order is None:  # it came after the end of the estimation that it should stop
                continue
            is_usable = _answer(connection, tracker, *order)
        except (EOFError, ConnectionError):
            # Threads of MediaPipe's graph may still work, and an orderly end would wait for them.
            os._exit(0)
        if not is_usable:
            return 1
        # Here and not when the next video comes, so that the video need not wait for it.
        tracker.reset()


def _answer(connection: Connection, tracker: Tracker, video: bytes, limits: VideoLimits) -> bool:
    """Estimate one video and report the outcome; returns False when the tracker may have suffered."""
    from video.holistic import estimate

    def report(done: int, total: int | None) -> None:
        messages.send_frame_done(connection, done, total)
        if connection.poll():
            messages.receive_order(connection)
            raise EstimationStoppedError("the result is not wanted any more")

    try:
        done = estimate(video, tracker, limits=limits, on_frame=report)
    except MemoryError:
        error = VideoTooLargeError("the video needs more memory than the service allows for one video")
        messages.send_failed(connection, error, resident_bytes=_measure_resident_bytes(), is_worn=True)
        return False
    except (VideoError, EstimationStoppedError) as error:
        messages.send_failed(connection, error, resident_bytes=_measure_resident_bytes())
        return True
    messages.send_estimated(
        connection, done.pose, facts=done.facts, warnings=done.warnings, resident_bytes=_measure_resident_bytes()
    )
    return True


def _measure_resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


def _keep_tracebacks_only() -> None:
    """Let Python's errors reach the log, but not what MediaPipe and decoders write to the descriptor."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _leave_out_plotting() -> None:
    """Give MediaPipe an empty Matplotlib, because this process draws nothing and would leave a folder behind.

    If Matplotlib cannot write to the home directory, it makes a temporary folder, and removes it at an orderly end. A
    process that may be killed at any time has no orderly end. The import also takes a third of a tracker's start.
    """
    package, plotting = ModuleType("matplotlib"), ModuleType("matplotlib.pyplot")
    package.pyplot = plotting  # type: ignore[attr-defined]
    sys.modules |= {"matplotlib": package, "matplotlib.pyplot": plotting}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
