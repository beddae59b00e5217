"""Owns one process with a tracker: starts it when needed, kills it when it hangs, replaces it before it bloats."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from processes.environment import build_environment
from processes.errors import MessageError
from video import worker_messages as messages
from video.errors import (
    EstimationStoppedError,
    EstimatorLostError,
    VideoTooLargeError,
    VideoTooSlowError,
)
from video.estimates import Estimate, VideoLimits
from video.settings import EstimatorHealth
from video.worker_messages import Estimated, Failed, FrameDone, LastReport

log = logging.getLogger(__name__)
# How often a running estimation checks whether its result is still wanted, in seconds.
_CHECK_S = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_DEFAULT_LIMITS = VideoLimits()


class EstimatorProcess:
    """At most one process with one tracker. One thread at a time may use this; any thread may call `close`.

    Args:
        health: when the process is replaced; None takes the defaults.

    Attributes:
        resident_bytes: memory of the process after its last video.
        replaced: how many processes were replaced, by reason: lost, slow, stuck, worn.
    """

    def __init__(self, health: EstimatorHealth | None = None) -> None:
        self._health = health or EstimatorHealth()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._ready = False
        self._closed = False
        # Held while a process starts, so that no process starts after `close`.
        self._lock = threading.Lock()
        self._videos = 0
        self.resident_bytes = 0
        self.replaced: Counter[str] = Counter(lost=0, slow=0, stuck=0, worn=0)

    @property
    def pid(self) -> int | None:
        """Process id of the process that runs now; None when no process runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process, unless it runs; returns at once, while the tracker loads."""
        with self._lock:
            if self._process is None and not self._closed:
                self._start()

    def estimate(
        self,
        video: bytes,
        *,
        limits: VideoLimits = _DEFAULT_LIMITS,
        on_frame: Callable[[int, int | None], None] | None = None,
        is_unwanted: Callable[[], bool] = bool,
    ) -> Estimate:
        """Estimate the pose in a video, in the process.

        Args:
            video: bytes of the file.
            on_frame: called after each frame with the number of frames done, and of all frames if that is known.
            is_unwanted: called often; when it returns true, the estimation is stopped.
        Raises:
            VideoError: the video is refused.
            EstimatorLostError: the process ended or did not start; the next video gets a new process.
            EstimationStoppedError: the result is not wanted any more.
            EstimatorError: the process reported another failure.
        """
        if len(video) > limits.max_bytes:  # a video that the process would refuse is not sent to it
            raise VideoTooLargeError(f"{len(video)} bytes; at most {limits.max_bytes} are read")
        self.start()
        try:
            connection = self._get_ready(is_unwanted)
            with self._bounded():
                messages.send_video(connection, video, limits)
            self._videos += 1
            report = self._follow(connection, on_frame, is_unwanted)
            with self._bounded():
                pose = messages.receive_pose(connection) if isinstance(report, Estimated) else b""
        except (EOFError, OSError, MessageError) as error:
            code = self.kill()
            self.replaced["lost"] += 1
            log.error("a process with a tracker was lost", extra={"exit_code": code})
            raise EstimatorLostError("the process that worked on the video was lost; send the video again") from error
        self.resident_bytes = report.resident_bytes
        worn = isinstance(report, Failed) and report.is_worn
        if worn or self._videos >= self._health.max_videos or self.resident_bytes > self._health.max_resident_bytes:
            log.info(
                "a process with a tracker is replaced", extra={"videos": self._videos, "bytes": self.resident_bytes}
            )
            self.kill()
            self.replaced["worn"] += 1
            self.start()  # so that the next video need not wait for the start
        if isinstance(report, Failed):
            raise report.error
        return Estimate(pose, report.facts, report.warnings)

    def kill(self) -> int | None:
        """Kill the process, whatever it does; returns its exit code, None if no process ran."""
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is None:
            return None
        process.kill()
        return process.wait()

    def close(self) -> None:
        """Kill the process and start no other. May be called twice. An estimation that runs fails."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # A new process and never a fork: a fork would hang in MediaPipe, or copy this process's sockets.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "video.worker", str(theirs.fileno()), str(self._health.address_space_bytes)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).parent.parent,
                # Each arena of glibc reserves 64 MB of the address space, which is limited in that process.
                env=build_environment(MALLOC_ARENA_MAX="2"),
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())
        self._ready, self._videos = False, 0

    def _get_ready(self, is_unwanted: Callable[[], bool]) -> Connection:
        connection = self._connection
        if connection is None:
            raise EOFError("closed")
        give_up = time.monotonic() + self._health.start_s
        while not self._ready:
            if connection.poll(_CHECK_S):
                messages.receive_report(connection)
                self._ready = True
            elif is_unwanted():
                raise EstimationStoppedError("the result is not wanted any more")
            elif time.monotonic() > give_up:
                raise EOFError("not ready in time")
        return connection

    def _follow(
        self,
        connection: Connection,
        on_frame: Callable[[int, int | None], None] | None,
        is_unwanted: Callable[[], bool],
    ) -> LastReport:
        """Pass each frame's report on, until the last report about the video."""
        heard, done, worked_s = time.monotonic(), 0, None
        while True:
            if is_unwanted():
                self._stop(connection)
                raise EstimationStoppedError("the result is not wanted any more")
            if connection.poll(_CHECK_S):
                heard, worked_s = time.monotonic(), None
                report = messages.receive_report(connection)
                if isinstance(report, LastReport):
                    return report
                if isinstance(report, FrameDone):
                    done = report.done
                    if on_frame is not None:
                        on_frame(done, report.total)
                continue
            silent_s = time.monotonic() - heard
            if worked_s is None:
                worked_s = self._measure_worked_s()
            if silent_s > self._health.frame_s and self._measure_worked_s() - worked_s > self._health.frame_s / 2:
                self.kill()
                self.replaced["slow"] += 1
                raise VideoTooSlowError(f"frame {done} takes more than {self._health.frame_s:g} seconds")
            if silent_s > self._health.silence_s:
                self.kill()
                self.replaced["stuck"] += 1
                raise EstimatorLostError(f"the process reported nothing for {silent_s:.0f} s; send the video again")

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Kill the process if a message takes longer than a silence may, because a socket would wait for ever."""
        process = self._process
        timer = threading.Timer(self._health.silence_s, lambda: None if process is None else process.kill())
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _measure_worked_s(self) -> float:
        """Measure how many seconds of cores the process has used."""
        try:
            fields = (
                Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            )
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S  # user and system time (proc(5))

    def _stop(self, connection: Connection) -> None:
        """Order the process to stop, which keeps its tracker loaded; kill it if it does not stop."""
        give_up = time.monotonic() + self._health.stop_s
        messages.send_stop(connection)
        while connection.poll(max(0.0, give_up - time.monotonic())):
            report = messages.receive_report(connection)
            if isinstance(report, Estimated):
                messages.receive_pose(connection)
            if isinstance(report, LastReport):
                self.resident_bytes = report.resident_bytes
                return
        log.warning("a process with a tracker did not stop and is killed")
        self.kill()
        self.replaced["stuck"] += 1
