"""`python -m video.worker DESCRIPTOR BYTES`: a process with one tracker, which estimates one video after another.

Its parent, video.worker_process, starts it with one end of a pair of sockets and may kill it at any time. Messages are
JSON; a video or a pose follows its message as it is; nothing is ever unpickled.
"""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import orjson

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
    _send(connection, {"kind": "ready", "resident_bytes": _resident_bytes()})
    # From here on there is nothing to write, for nobody.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    while True:
        try:
            request = orjson.loads(connection.recv_bytes())
            if request["kind"] != "estimate":  # a stop that came after the end
                continue
            video = connection.recv_bytes()
            usable = _answer(connection, tracker, video, VideoLimits(**request["limits"]))
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
        _send(connection, {"kind": "progress", "done": done, "total": total})
        if connection.poll():
            connection.recv_bytes()
            raise EstimationStoppedError("nobody wants the result any more")

    usable = True
    try:
        done = estimate(video, tracker, limits=limits, on_frame=report)
    except EstimationStoppedError:
        _send(connection, {"kind": "stopped", "resident_bytes": _resident_bytes()})
    except (VideoError, MemoryError) as error:
        usable = isinstance(error, VideoError)
        if not usable:
            error = VideoTooLargeError("the video needs more memory than one may have")
        _send(
            connection,
            {
                "kind": "refusal",
                "class": type(error).__name__,
                "message": str(error),
                "resident_bytes": _resident_bytes(),
                "worn": not usable,
            },
        )
    else:
        answer = {"kind": "estimate", "facts": asdict(done.facts), "warnings": done.warnings}
        _send(connection, answer | {"resident_bytes": _resident_bytes()})
        connection.send_bytes(done.pose)
    return usable


def _send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(orjson.dumps(message))


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
