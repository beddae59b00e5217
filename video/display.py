"""The note in a video that turns and mirrors its stored pictures for display, and the shape of their pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from av.buffer import Buffer
from av.video.frame import VideoFrame

from video.errors import VideoUnreadableError

Picture = npt.NDArray[np.uint8]

_ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
# Beyond this, a pixel's shape is a damaged number: anamorphic film has 2.
_MOST_PIXEL_ASPECT = 4
# Closer to a quarter turn than this counts as one.
_NEAR_DEGREES = 1.0


@dataclass(frozen=True)
class Turn:
    """How stored pictures become upright ones: first mirrored, then turned.

    Attributes:
        rotation: degrees counterclockwise.
        mirrored: whether left and right change places first.
    """

    rotation: int = 0
    mirrored: bool = False

    def apply(self, picture: Picture) -> Picture:
        """Turn a picture, (height, width, 3); by other than quarter turns it keeps its size and gets black corners."""
        if self.mirrored:
            picture = np.asarray(cv2.flip(picture, 1), dtype=np.uint8)
        if self.rotation in _ROTATIONS:
            picture = np.asarray(cv2.rotate(picture, _ROTATIONS[self.rotation]), dtype=np.uint8)
        elif self.rotation:
            height, width = picture.shape[:2]
            around = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), self.rotation, 1)
            picture = np.asarray(cv2.warpAffine(picture, around, (width, height)), dtype=np.uint8)
        return picture


def find_turn(frame: VideoFrame) -> Turn:
    """Read the display matrix of a frame; pictures without one are upright.

    Source: configure_input_video_filter and get_rotation of FFmpeg's ffmpeg_filter.c, which is what its autorotate
    does; av_display_rotation_get for the angle.
    """
    noted = frame.side_data.get("DISPLAYMATRIX")
    if noted is None:
        return Turn()
    a, b, _, c, d = np.frombuffer(bytes(cast(Buffer, noted)), "=i4")[:5].astype(np.float64).tolist()  # rows of 3
    scale_a, scale_b = math.hypot(a, c), math.hypot(b, d)
    if scale_a == 0 or scale_b == 0:  # such a matrix leaves no picture
        return Turn()
    clockwise = round(math.degrees(math.atan2(b / scale_b, a / scale_a))) % 360
    if abs(clockwise - 90) < _NEAR_DEGREES:
        return Turn(90, mirrored=True) if c > 0 else Turn(270)
    if abs(clockwise - 180) < _NEAR_DEGREES:
        across, down = a < 0, d < 0
        return Turn(180 if down else 0, mirrored=across != down)
    if abs(clockwise - 270) < _NEAR_DEGREES:
        return Turn(270, mirrored=True) if c < 0 else Turn(90)
    if clockwise:
        return Turn(360 - clockwise)
    return Turn(180, mirrored=True) if d < 0 else Turn()


def find_square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size at which pixels are square; the picture only ever grows.

    Raises:
        VideoUnreadableError: the shape of a pixel is a damaged number.
    """
    if not aspect or aspect == 1:
        return width, height
    if not 1 / _MOST_PIXEL_ASPECT <= aspect <= _MOST_PIXEL_ASPECT:
        raise VideoUnreadableError(f"pixels {float(aspect):g} times as wide as high; at most {_MOST_PIXEL_ASPECT} are")
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
