"""A pose to look at: pose-format's skeleton on white or over its video, as MP4, GIF or a sheet of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from pose_format import Pose
from pose_format.pose_visualizer import PoseVisualizer

from poses.errors import PoseContentError
from poses.landmarks import FACE_POINTS
from video.decoding import VideoReader
from video.folders import OWN_FILES

Picture = npt.NDArray[np.uint8]
KINDS = (".mp4", ".gif", ".png")
# A sheet shows so many frames, evenly spread, in rows of four.
_SHEET_FRAMES, _SHEET_COLUMNS = 8, 4
# Colour differences are stored for two by two pixels, so that sides of H.264 pictures are even.
_EVEN = 2


def draw(pose: Pose, video: bytes | None = None) -> Iterator[Picture]:
    """Draw every frame.

    Args:
        video: its pictures are the background, stretched to the pose's size; None: white.
    Yields:
        uint8 (height, width, 3), BGR.
    Raises:
        PoseContentError: the header has no image size.
        VideoError: the video is damaged.
    """
    size = pose.header.dimensions
    if not (size.width and size.height):
        raise PoseContentError(f"an image of {size.width} × {size.height} pixels, in which nothing can be drawn")
    visualizer = PoseVisualizer(_without_clutter(pose))
    if video is None:
        yield from visualizer.draw()
        return
    with VideoReader(video, OWN_FILES) as reader:
        backgrounds = (cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in reader.frames())
        yield from visualizer.draw_on_video(backgrounds)


def _without_clutter(pose: Pose) -> Pose:
    """Leave out world landmarks, a blot in the corner (they are metres from the hips), and most of the face's mesh."""
    layout = {component.name: component.points for component in pose.header.components}
    contours = [point.name for point in FACE_POINTS]
    kept = {"FACE_LANDMARKS": contours} if set(contours) <= set(layout.get("FACE_LANDMARKS", ())) else None
    return pose.get_components([name for name in layout if "WORLD" not in name], kept)


def save(pictures: Iterable[Picture], path: Path, *, fps: float, frames: int) -> int:
    """Write pictures in the format that the path's suffix names; returns how many there were.

    Args:
        frames: how many there should be.
    Raises:
        ValueError: another suffix than KINDS, or no pictures.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise ValueError(f"{path.name}: the suffix must be one of {', '.join(KINDS)}")
    if suffix == ".png":
        return _save_sheet(pictures, path, frames)
    return (_save_mp4 if suffix == ".mp4" else _save_gif)(pictures, path, fps)


def _save_mp4(pictures: Iterable[Picture], path: Path, fps: float) -> int:
    count = 0
    with av.open(str(path), "w") as container:
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

    def images() -> Iterator[Image.Image]:
        nonlocal count
        for picture in pictures:
            count += 1
            # Of a byte a pixel: they wait in memory until the last has come.
            yield Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).quantize()

    drawn = images()
    first = next(drawn, None)
    if first is None:
        raise ValueError("there are no frames to draw")
    first.save(path, save_all=True, append_images=drawn, duration=1000 / fps, loop=0)
    return count


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
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise OSError(f"{path} cannot be written")
    return count
