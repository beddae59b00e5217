"""Frames of a video in, a pose out: MediaPipe Holistic with the settings of the authors' data."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderDimensions
from pose_format.utils.holistic import _extract_frame_data, holistic_components, mp_holistic

from video.decoding import Frame, VideoReader
from video.estimates import Estimate, VideoLimits

Points = npt.NDArray[np.float32]
# Called after each frame with how many are done, and how many there are if that is known.
OnFrame = Callable[[int, int | None], None]

# The one clip of which the authors publish both video and pose comes out of these; complexity 0 and 2 would fetch their
# model at run time.
SETTINGS = {
    "model_complexity": 1,
    "static_image_mode": False,
    "smooth_landmarks": True,
    "refine_face_landmarks": False,
}
_FACE_POINTS_BEYOND_468 = 0
_DEFAULT_LIMITS = VideoLimits()


def name_extractor() -> str:
    """What makes poses here, as answers and files name it."""
    settings = ",".join(f"{name}={str(value).lower()}" for name, value in SETTINGS.items())
    return f"mediapipe-{version('mediapipe')} holistic {settings}"


def build_header(width: int, height: int) -> PoseHeader:
    """Build the header of every pose that is estimated here, for a picture of so many pixels."""
    return PoseHeader(0.2, PoseHeaderDimensions(width, height, 0), holistic_components("XYZC"))


class Tracker:
    """One MediaPipe graph and the one thread that ever touches it: two threads would crash the process.

    Build it in the process that uses it, never before a fork: its children would hang.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tracker")
        self._graph: Any = self._thread.submit(mp_holistic.Holistic, **SETTINGS).result()

    def reset(self) -> None:
        """Forget every frame seen so far: what follows is to the bit what a fresh tracker gives."""
        self._thread.submit(self._graph.reset).result()

    def start(self, frame: Frame) -> Future[Any]:
        """Begin to look at the next frame, uint8 (height, width, 3), RGB; the one before must have come to its end."""
        return self._thread.submit(self._graph.process, frame)

    def close(self) -> None:
        """End the graph and its thread."""
        self._thread.submit(self._graph.close)
        self._thread.shutdown()


def estimate(
    video: bytes, tracker: Tracker, *, limits: VideoLimits = _DEFAULT_LIMITS, on_frame: OnFrame | None = None
) -> Estimate:
    """Estimate the pose of the person in a video.

    While the tracker looks at one frame, the next is decoded and the one before is read out.

    Args:
        tracker: fresh or reset. After any error that is no VideoError it must not be used again.
        on_frame: called after each frame; what it raises ends the estimation.
    Raises:
        VideoError: the video is damaged, or exceeds a limit.
    Source: pose_format.utils.holistic.load_holistic, which this equals to the bit.
    """
    values: list[Points] = []
    confidence: list[Points] = []
    with VideoReader(video, limits) as reader:
        for frame, seen in _tracked(reader, tracker):
            data, sure = _extract_frame_data(seen, frame.shape[1], frame.shape[0], _FACE_POINTS_BEYOND_468)
            values.append(data.astype(np.float32))
            confidence.append(sure.astype(np.float32))
            if on_frame is not None:
                on_frame(len(values), reader.declared_frames)
        facts = replace(reader.facts(), extractor=name_extractor())
        bad = reader.bad_packets
    body = NumPyPoseBody(facts.fps, np.stack(values)[:, None], np.stack(confidence)[:, None])  # frames, people, …
    file = io.BytesIO()
    Pose(build_header(facts.width, facts.height), body).write(file)
    warnings = (f"{bad} pieces of the video did not decode and are left out",) if bad else ()
    return Estimate(file.getvalue(), facts, warnings)


def _tracked(reader: VideoReader, tracker: Tracker) -> Iterator[tuple[Frame, Any]]:
    running: tuple[Frame, Future[Any]] | None = None
    try:
        for frame in reader.frames():
            done = running and (running[0], running[1].result())
            running = (frame, tracker.start(frame))
            if done:
                yield done
        if running:
            yield running[0], running[1].result()
    finally:
        if running:  # the next user of the tracker must find it at rest
            running[1].exception()


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Keep MediaPipe's eleven lines off the terminal: they go to the descriptor and heed no setting."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
