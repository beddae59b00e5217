"""Small pictures of a clip: its skeleton as SVG, GIF or WebP, or as a small .pose file. None shows a face."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent

from poses.points import choose_person
from poses.skeleton import Part, Skeleton, choose_frames, extract_skeleton, find_kept

if TYPE_CHECKING:
    from PIL.Image import Image

PreviewKind = Literal["svg", "gif", "webp", "pose"]
# A page with a hundred of them loads as much as one photo.
MAX_BYTES = 50_000
# A sign takes a second or two; the hands' way is clear from so many pictures of it.
_MOST_FRAMES = 24
_SIDE = 160
# Pictures are drawn larger and made smaller, which smooths the lines; PIL draws none smoothly.
_OVERSAMPLING = 3
_LINE = 1.6
# Blue and orange are told apart by all kinds of colour vision (Okabe and Ito, 2008).
_COLORS: dict[Part, str] = {"body": "#8a8a8a", "left": "#0072b2", "right": "#d55e00"}
# Rates outside of these are no pace to look at; the corpora's is 25.
_SLOWEST_FPS, _FASTEST_FPS, _USUAL_FPS = 1.0, 60.0, 12.0


def draw_preview(pose: Pose, kind: PreviewKind, *, person: int | None = None) -> bytes:
    """Draw a clip in at most MAX_BYTES.

    Args:
        person: number of the person; None: the only one.
    Raises:
        PoseLayoutError: the layout has no lines outside of the face, or no x and y.
        PersonError, PoseEmptyError: the person is not there.
    """
    most_frames = _MOST_FRAMES
    while True:
        if kind == "pose":
            drawn = _write_pose(pose, person, most_frames)
        else:
            skeleton = extract_skeleton(pose, person, most_frames=most_frames)
            drawn = _write_svg(skeleton) if kind == "svg" else _write_pictures(skeleton, kind)
        if len(drawn) <= MAX_BYTES or most_frames == 1:
            return drawn
        most_frames //= 2


def _write_svg(skeleton: Skeleton) -> bytes:
    """Write one path for each part, whose line changes from frame to frame; no script is needed."""
    frames = len(skeleton.points)
    seconds = frames / _find_rate(skeleton.fps)
    paths = []
    for part, color in _COLORS.items():
        lines = [_write_line(skeleton, frame, part) for frame in range(frames)]
        motion = ""
        if frames > 1:
            values = ";".join(lines)
            motion = (
                f'<animate attributeName="d" calcMode="discrete" dur="{seconds:.2f}s" repeatCount="indefinite" '
                f'values="{values}"/>'
            )
        paths.append(f'<path stroke="{color}" d="{lines[frames // 2]}">{motion}</path>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}" width="{_SIDE}" height="{_SIDE}">'
        f'<rect width="{_SIDE}" height="{_SIDE}" fill="#fff"/><g fill="none" stroke-width="{_LINE}" '
        f'stroke-linecap="round">{"".join(paths)}</g></svg>'
    ).encode()


def _write_line(skeleton: Skeleton, frame: int, part: Part) -> str:
    steps = []
    points = np.rint(skeleton.points[frame] * _SIDE).astype(int)
    for (a, b), own in zip(skeleton.limbs, skeleton.parts, strict=True):
        if own == part and skeleton.seen[frame, a] and skeleton.seen[frame, b]:
            steps.append(f"M{points[a, 0]} {points[a, 1]}L{points[b, 0]} {points[b, 1]}")
    return "".join(steps) or "M0 0"


def _write_pictures(skeleton: Skeleton, kind: Literal["gif", "webp"]) -> bytes:
    pictures = [_draw_frame(skeleton, frame) for frame in range(len(skeleton.points))]
    file = io.BytesIO()
    milliseconds = round(1000 / _find_rate(skeleton.fps))
    more = {"optimize": True, "disposal": 1} if kind == "gif" else {"lossless": True, "method": 4}
    pictures[0].save(
        file, kind.upper(), save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, **more
    )
    return file.getvalue()


def _draw_frame(skeleton: Skeleton, frame: int) -> Image:
    from PIL import Image, ImageDraw  # late, because few web workers draw

    side = _SIDE * _OVERSAMPLING
    picture = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(picture)
    points = np.rint(skeleton.points[frame] * side).astype(int)
    for (a, b), part in zip(skeleton.limbs, skeleton.parts, strict=True):
        if skeleton.seen[frame, a] and skeleton.seen[frame, b]:
            line = (*points[a].tolist(), *points[b].tolist())
            pen.line(line, fill=_COLORS[part], width=round(_LINE * _OVERSAMPLING))
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    # Few colours take few bytes; lines and their edges need no more.
    return small.quantize(16, dither=Image.Dither.NONE)


def _write_pose(pose: Pose, person: int | None, most_frames: int) -> bytes:
    """Write the points that previews show as a .pose file of their own."""
    row, kept = choose_person(pose, person), find_kept(pose.header)
    frames = choose_frames(len(pose.body.data), most_frames)
    components, start = [], 0
    for number in sorted(set(kept.components)):
        component = pose.header.components[number]
        own = [place for place, owner in enumerate(kept.components) if owner == number]
        offset = sum(len(other.points) for other in pose.header.components[:number])
        names = [component.points[int(kept.places[place]) - offset] for place in own]
        limbs = [(a - start, b - start) for a, b in kept.limbs if start <= a < start + len(own)]
        components.append(PoseHeaderComponent(component.name, names, limbs, [], component.format))
        start += len(own)
    header = PoseHeader(0.2, pose.header.dimensions, components)
    values = np.asarray(pose.body.data)[frames][:, [row]][:, :, kept.places]
    confidence = pose.body.confidence[frames][:, [row]][:, :, kept.places]
    fps = float(pose.body.fps) * len(frames) / len(pose.body.data)
    file = io.BytesIO()
    Pose(header, NumPyPoseBody(fps, values.astype(np.float32), confidence.astype(np.float32))).write(file)
    return file.getvalue()


def _find_rate(fps: float) -> float:
    return fps if math.isfinite(fps) and _SLOWEST_FPS <= fps <= _FASTEST_FPS else _USUAL_FPS
