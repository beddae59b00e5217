"""From the frames of a video to the windows that a network sees: another rate, another size, a crop, numbers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator

import av
import cv2
import numpy as np
import numpy.typing as npt

from models.video_networks.catalog import VideoNetwork
from video.decoding import Frame

Pixels = npt.NDArray[np.float32]


def change_rate(frames: Iterable[Frame], fps: float, wanted: float) -> Iterator[Frame]:
    """Repeat or leave out frames, so that they follow each other at another rate.

    Each frame is shown from the time of a new frame that is nearest to its own, and the last of several wins.

    Args:
        frames: uint8 (height, width, 3) each, at `fps`.
        wanted: the new rate, in frames a second.
    Source: ffmpeg's filter `fps`, with its rounding to the nearest.
    """
    held: Frame | None = None
    count = shown = 0
    for frame in frames:
        time = _round(count * wanted / fps)
        while held is not None and shown < time:
            yield held
            shown += 1
        held, count = frame, count + 1
    while held is not None and shown < _round(count * wanted / fps):
        yield held
        shown += 1


def _round(number: float) -> int:
    """Round to the nearest whole number, halves up."""
    return math.floor(number + 0.5)


def prepare_frame(frame: Frame, network: VideoNetwork) -> Pixels:
    """Resize a picture, cut the middle out of it, and turn it into the numbers that a network was trained on.

    Args:
        frame: uint8 (height, width, 3), RGB.
    Returns:
        float32 (3, crop, crop).
    """
    resized = _resize(frame, network.resize)
    top, left = ((side - network.crop) // 2 for side in resized.shape[:2])
    cut = resized[top : top + network.crop, left : left + network.crop]
    numbers = cut * np.float32((network.highest - network.lowest) / 255) + np.float32(network.lowest)
    return np.ascontiguousarray(numbers.transpose(2, 0, 1), dtype=np.float32)


def _resize(frame: Frame, to: int | tuple[int, int]) -> Pixels:
    if isinstance(to, tuple):
        # The authors' I3D features are of squares, whatever the video's shape was.
        return np.asarray(cv2.resize(frame.astype(np.float32), to, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    height, width = frame.shape[:2]
    # As the authors' videoreader.py: the shorter side is given, the other one rounded down.
    width, height = (to, height * to // width) if height >= width else (width * to // height, to)
    scaled = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(width, height, interpolation="BICUBIC")
    return scaled.to_ndarray().astype(np.float32)


def cut_windows(frames: Iterable[Pixels], network: VideoNetwork) -> Iterator[Pixels]:
    """Cut frames into windows.

    Args:
        frames: float32 (3, side, side) each, at least one.
        network: says how long a window is, where the next one starts, and what fills the last.
    Yields:
        float32 (3, window, side, side).
    """
    recent: deque[Pixels] = deque(maxlen=network.window)
    count = end = 0  # frames so far, and the frame after the last window
    for frame in frames:
        recent.append(frame)
        count += 1
        if count >= network.window and (count - network.window) % network.stride == 0:
            yield np.stack(list(recent), axis=1)
            end = count
    if count == end:
        return
    if count >= network.window and network.fill == "last":
        yield np.stack(list(recent), axis=1)
        return
    left = list(recent)[-(count - end) :] if end else list(recent)
    filler = left[-1] if network.fill == "last" else np.full_like(left[-1], network.lowest)
    yield np.stack([*left, *[filler] * (network.window - len(left))], axis=1)
