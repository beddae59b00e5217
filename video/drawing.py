"""Draws poses: pose-format's skeleton on white or over its video, as MP4, GIF or a sheet of pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.pose_visualizer import PoseVisualizer

from processes.files import replace_file
from video.decoding import VideoReader
from video.folders import OWN_FILES
from video.framing import Framing, find_framing, frame_pose

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = npt.NDArray[np.uint8]
KINDS = (".mp4", ".gif", ".png")
# A sheet shows so many frames, evenly spread, in rows of four.
_SHEET_FRAMES, _SHEET_COLUMNS = 8, 4
# Colour differences are stored for two by two pixels, so that sides of H.264 pictures are even.
_EVEN = 2
# A line is a hundred-and-fiftieth of the picture's side wide. Source: pose_format.pose_visualizer.
_SIDES_A_LINE = 150
# Rates outside of these are no pace to look at; the corpora's is 25.
_SLOWEST_FPS, _FASTEST_FPS, _USUAL_FPS = 1.0, 240.0, 25.0


def draw(pose: Pose, video: bytes | None = None) -> Iterator[Picture]:
    """Draw every frame, in a picture in which the pose can be seen.

    Args:
        pose: of any size; not changed.
        video: its pictures are the background, stretched to the pose's size; None: white.
    Yields:
        uint8 (height, width, 3), BGR; no side is longer than 1920.
    Raises:
        PoseContentError: the points have no x and y, or lie nowhere in the video's picture.
        VideoError: the video is damaged.
    """
    if video is None:
        yield from _visualizer(pose, find_framing(pose)).draw()
        return
    with VideoReader(video, OWN_FILES) as reader:
        frames = reader.frames()
        first = next(frames)
        framing = find_framing(pose, (first.shape[1], first.shape[0]))
        backgrounds = (cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in chain([first], frames))
        yield from _visualizer(pose, framing).draw_on_video(backgrounds)


def _visualizer(pose: Pose, framing: Framing) -> PoseVisualizer:
    width, height = framing.size
    # The library's own thickness is 0 in small pictures, which OpenCV refuses.
    thickness = max(1, round(math.sqrt(width * height) / _SIDES_A_LINE))
    return PoseVisualizer(frame_pose(pose, framing), thickness=thickness)


def find_rate(fps: float) -> float:
    """Choose the frames per second at which a pose is shown: its own, or 25 where its own are no pace."""
    return fps if math.isfinite(fps) and _SLOWEST_FPS <= fps <= _FASTEST_FPS else _USUAL_FPS


def save(pictures: Iterable[Picture], path: Path, *, fps: float, frames: int) -> int:
    """Write pictures in the format that the path's suffix names, also into a new folder; returns how many there were.

    Args:
        pictures: uint8 (height, width, 3), BGR, all of one size.
        path: where the file goes; its suffix is one of KINDS.
        fps: frames per second, as `find_rate` gives them.
        frames: how many pictures there should be.
    Raises:
        OSError: the file cannot be written.
        ValueError: another suffix than KINDS, or no pictures.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise ValueError(f"{path.name}: the suffix must be one of {', '.join(KINDS)}")
    with replace_file(path) as part:
        if suffix == ".png":
            return _save_sheet(pictures, part, frames)
        return (_save_mp4 if suffix == ".mp4" else _save_gif)(pictures, part, fps)


def _save_mp4(pictures: Iterable[Picture], path: Path, fps: float) -> int:
    count = 0
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            height, width = (side - side % _EVEN for side in picture.shape[:2])
            if not count:
                stream.width, stream.height = width, height
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "bgr24")
            container.mux(stream.encode(frame))
            count += 1
        if not count:
            raise ValueError("there are no frames to draw")
        container.mux(stream.encode(None))
    return count


def _save_gif(pictures: Iterable[Picture], path: Path, fps: float) -> int:
    from PIL import Image

    count = 0
    with av.open(str(path), "w", format="gif") as container:
        stream: Any = container.add_stream("gif", rate=Fraction(fps).limit_denominator(1001))
        stream.pix_fmt = "pal8"
        for picture in pictures:
            if not count:
                stream.height, stream.width = picture.shape[:2]
            image = Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).quantize()
            container.mux(stream.encode(_paletted(image)))
            count += 1
        if not count:
            raise ValueError("there are no frames to draw")
        container.mux(stream.encode(None))
    return count


def _paletted(image: Image) -> av.VideoFrame:
    """The frame of a picture of a byte a pixel, with its palette."""
    colors = np.zeros((256, 4), dtype=np.uint8)
    colors[:, 0] = 255  # alpha
    palette = np.asarray(image.getpalette(), dtype=np.uint8).reshape(-1, 3)
    colors[: len(palette), 1:] = palette
    pair: Any = (np.asarray(image), colors)  # which PyAV takes for this one format
    return av.VideoFrame.from_ndarray(pair, format="pal8")


def _save_sheet(pictures: Iterable[Picture], path: Path, frames: int) -> int:
    places = set(np.linspace(0, frames - 1, min(frames, _SHEET_FRAMES)).round().astype(int).tolist())
    chosen, count = [], 0
    for index, picture in enumerate(pictures):
        count += 1
        if index in places:
            chosen.append(picture)
    if not chosen:
        raise ValueError("there are no frames to draw")
    columns = min(len(chosen), _SHEET_COLUMNS)
    chosen += [np.full_like(chosen[0], 255)] * (-len(chosen) % columns)
    rows = [np.hstack(chosen[start : start + columns]) for start in range(0, len(chosen), columns)]
    _, encoded = cv2.imencode(".png", np.vstack(rows))
    path.write_bytes(encoded.tobytes())
    return count
