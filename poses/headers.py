"""The header of a .pose file: version, image size, and the layout of components, points and limbs.

pose-format's own reader allocates what a header claims before it looks at the bytes. It raises five unrelated
exception types, and returns one header object to all callers whose bytes are equal. This reader checks each claim
against the bytes first. Layouts repeat from file to file, so the last few are remembered by their bytes.
Format: https://github.com/sign-language-processing/pose/blob/master/docs/specs/v0.2.md
"""

from __future__ import annotations

import math
import struct
import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from poses.errors import (
    NotAPoseError,
    PoseFormatError,
    PoseTooLargeError,
    PoseTruncatedError,
    PoseVersionError,
)
from processes.file_kinds import Family, FileKind, recognize

_VERSIONS = (0.1, 0.2)
_FUTURE_VERSION = 10
_FLOAT = struct.Struct("<f")
_PREAMBLE = struct.Struct("<fHHH")  # version, width, height, depth
_USHORT = struct.Struct("<H")
_COUNTS = struct.Struct("<HHH")  # points, limbs, colors
_LIMB_BYTES = 4
_COLOR_BYTES = 6
_SMALLEST_POINT_BYTES = 2  # the length of an empty name

# What to do about other kinds of files that are of use, where a pose is wanted.
_ESTIMATE = "estimate its pose first (POST /api/pose, or python -m video estimate)"
_ADVICE: dict[Family, str] = {
    "video": f"Send it as a video, or {_ESTIMATE}",
    "fragment": "Join all chunks of the recording, in order, to one video; then " + _ESTIMATE,
    "array": "Bare arrays do not say which point is which: make a .pose file of them with pose_format",
    "table": "Tables do not say which point is which: make a .pose file of them with pose_format",
    "text": "Send the bytes of a .pose file; keypoints in JSON or CSV become one with pose_format",
    "document": "Send the bytes of a .pose file, as video_to_pose and python -m video estimate write it",
    "picture": "A pose is estimated from a video of the whole sign",
    "audio": "It is a sound and shows no signer: send the video",
}

# Senders of files choose which layouts are remembered. Both numbers bound the memory that this can take (a few MB).
# MediaPipe's layout with 478 face points takes 15 kB.
_REMEMBERED_LAYOUTS = 16
_REMEMBERED_BYTES = 32 * 1024


@dataclass(frozen=True)
class ReadLimits:
    """Sizes past which a file is refused, whatever it holds.

    Attributes:
        max_bytes: of the whole file; the default is the service's own limit on a request.
        max_header_bytes: of the header; MediaPipe's takes 15 kB.
        max_components: MediaPipe has 5, OpenPose 4.
        max_points: of all components together; MediaPipe has 586.
        max_frames: the default is what version 0.1 of the format can count, 43 minutes at 25 fps.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_header_bytes: int = 256 * 1024
    max_components: int = 64
    max_points: int = 4096
    max_frames: int = 65_535


@dataclass(frozen=True)
class Layout:
    """What a header says besides version and image size.

    Attributes:
        components: as pose-format has them; shared between poses, so never to be changed.
        points: of all components together.
        dims: coordinates a point has, 3 for ``XYZC``.
        size_bytes: what the layout takes in the file.
    """

    components: tuple[PoseHeaderComponent, ...]
    points: int
    dims: int
    size_bytes: int


def read_header(data: bytes, *, limits: ReadLimits) -> tuple[PoseHeader, Layout, int]:
    """Read and check a header.

    Args:
        data: the file, or enough of its beginning.
        limits: sizes past which a header is refused.
    Returns:
        A header of the caller's own (its components are shared), its layout, and the offset at which the body starts.
    Raises:
        NotAPoseError: the bytes are of another kind.
        PoseFormatError: the bytes are no header of version 0.1 or 0.2.
        PoseTooLargeError: the header claims more than the limits allow.
    """
    _check_start(data)
    version, width, height, depth = _PREAMBLE.unpack_from(data)
    layout = _remembered(data)
    if layout is None:
        layout = _LayoutReader(data, limits).read()
        _remember(data, layout)
    _check_limits(layout, limits)
    header = PoseHeader(version, PoseHeaderDimensions(width, height, depth), list(layout.components))
    return header, layout, _PREAMBLE.size + layout.size_bytes


def _check_start(data: bytes) -> None:
    """Refuse what does not start as a .pose file does."""
    (version,) = _FLOAT.unpack_from(data) if len(data) >= _FLOAT.size else (math.nan,)
    if round(version, 3) not in _VERSIONS:  # NaN compares unequal to both
        kind = recognize(data)
        # Later versions of the format will be as round as the present ones; of other bytes this is rarely true.
        if kind.family == "unknown" and _is_round(version):
            raise PoseVersionError(f"version {version:.6g} of the .pose format; versions 0.1 and 0.2 are read")
        raise NotAPoseError(describe_other(kind))
    if len(data) < _PREAMBLE.size:
        raise PoseTruncatedError(
            f"a .pose file starts with {_PREAMBLE.size} bytes of preamble, this one has {len(data)} bytes"
        )


def _is_round(version: float) -> bool:
    return 0.01 <= version < _FUTURE_VERSION and math.isclose(version, round(version, 2), rel_tol=1e-6)


def describe_other(kind: FileKind) -> str:
    """Say what was given in place of a pose, and what to do."""
    advice = kind.advice or _ADVICE.get(kind.family, "Send the bytes of a .pose file")
    return f"this is no .pose file; it looks like {kind.name}. {advice}"


# Replaced as a whole under the lock, never changed, so that readers need no lock.
_layouts: tuple[tuple[bytes, Layout], ...] = ()
_layouts_lock = threading.Lock()


def _remembered(data: bytes) -> Layout | None:
    # Parsing is a function of the bytes it consumes, so a file that starts with a known layout's bytes has that layout.
    for known, layout in _layouts:
        if data.startswith(known, _PREAMBLE.size):
            return layout
    return None


def _remember(data: bytes, layout: Layout) -> None:
    global _layouts
    if layout.size_bytes > _REMEMBERED_BYTES:
        return
    with _layouts_lock:
        if _remembered(data) is None:
            known = data[_PREAMBLE.size : _PREAMBLE.size + layout.size_bytes]
            _layouts = ((known, layout), *_layouts[: _REMEMBERED_LAYOUTS - 1])


def _check_limits(layout: Layout, limits: ReadLimits) -> None:
    sizes = (
        ("header bytes", _PREAMBLE.size + layout.size_bytes, limits.max_header_bytes),
        ("components", len(layout.components), limits.max_components),
        ("points", layout.points, limits.max_points),
    )
    for what, value, limit in sizes:
        if value > limit:
            raise PoseTooLargeError(f"{value} {what}; at most {limit} are read")


class _LayoutReader:
    """Reads a layout front to back, never past the end of the data or of the header limit."""

    def __init__(self, data: bytes, limits: ReadLimits) -> None:
        self._data = data
        self._limits = limits
        self._offset = _PREAMBLE.size

    def read(self) -> Layout:
        (count,) = _USHORT.unpack(self._take(_USHORT.size, "the number of components"))
        if count == 0:
            raise PoseFormatError("the header has no components")
        if count > self._limits.max_components:
            raise PoseTooLargeError(f"{count} components; at most {self._limits.max_components} are read")
        components: list[PoseHeaderComponent] = []
        points = 0
        for _ in range(count):
            component = self._component(points)
            if any(component.name == other.name for other in components):
                raise PoseFormatError(f"two components are named {_shown(component.name)}")
            if components and component.format != components[0].format:
                raise PoseFormatError(
                    f"component {_shown(component.name)} has format {_shown(component.format)}, "
                    f"{_shown(components[0].name)} has {_shown(components[0].format)}; a file has one format for all"
                )
            components.append(component)
            points += len(component.points)
        if points == 0:
            raise PoseFormatError("the header's components have no points")
        return Layout(tuple(components), points, len(components[0].format) - 1, self._offset - _PREAMBLE.size)

    def _component(self, points_before: int) -> PoseHeaderComponent:
        name = self._string("a component's name")
        point_format = self._string(f"the format of component {_shown(name)}")
        if len(point_format) < 2 or point_format[-1] != "C" or len(set(point_format)) != len(point_format):
            raise PoseFormatError(
                f"component {_shown(name)} has format {_shown(point_format)}; "
                "expected distinct coordinates and then C for confidence, such as XYZC"
            )
        counts = _COUNTS.unpack(self._take(_COUNTS.size, f"the sizes of component {_shown(name)}"))
        point_count, limb_count, color_count = counts
        if points_before + point_count > self._limits.max_points:
            raise PoseTooLargeError(
                f"{points_before + point_count} points up to component {_shown(name)}; "
                f"at most {self._limits.max_points} are read"
            )
        self._expect(
            point_count * _SMALLEST_POINT_BYTES + limb_count * _LIMB_BYTES + color_count * _COLOR_BYTES,
            f"{point_count} points, {limb_count} limbs and {color_count} colors of component {_shown(name)}",
        )
        points = [self._string(f"a point's name in component {_shown(name)}") for _ in range(point_count)]
        if len(set(points)) != point_count:
            raise PoseFormatError(f"component {_shown(name)} has two points of one name")
        limbs = self._ushorts(limb_count, 2, f"the limbs of component {_shown(name)}")
        if limb_count and int(limbs.max()) >= point_count:
            raise PoseFormatError(
                f"a limb of component {_shown(name)} ends at point {int(limbs.max())}; it has {point_count} points"
            )
        colors = self._ushorts(color_count, 3, f"the colors of component {_shown(name)}")
        return PoseHeaderComponent(name, points, [(a, b) for a, b in limbs.tolist()], colors, point_format)

    def _ushorts(self, rows: int, columns: int, what: str) -> npt.NDArray[np.uint16]:
        taken = self._take(rows * columns * 2, what)
        return np.frombuffer(taken, dtype="<u2").reshape(rows, columns)

    def _string(self, what: str) -> str:
        (size,) = _USHORT.unpack(self._take(_USHORT.size, f"the length of {what}"))
        taken = self._take(size, what)
        try:
            return taken.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PoseFormatError(
                f"{what} is not UTF-8: {error.reason} at byte {self._offset - size + error.start}"
            ) from None

    def _take(self, size: int, what: str) -> bytes:
        self._expect(size, what)
        taken = self._data[self._offset : self._offset + size]
        self._offset += size
        return taken

    def _expect(self, size: int, what: str) -> None:
        end = self._offset + size
        if end > len(self._data):
            raise PoseTruncatedError(
                f"{what}: needs {size} bytes from byte {self._offset} on, the file has {len(self._data)} bytes"
            )
        if end > self._limits.max_header_bytes:
            raise PoseTooLargeError(
                f"{what}: would make the header {end} bytes long; at most {self._limits.max_header_bytes} are read"
            )


def _shown(text: str) -> str:
    # Names come from the file and go into messages: quoted, and short enough for one line.
    return repr(text if len(text) <= 40 else text[:40] + "…")
