"""Long recordings: .pose files that are read piece by piece, so that an hour takes no more memory than a minute."""

from __future__ import annotations

import mmap
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader

from poses.errors import PoseEmptyError, PoseTooLargeError, PoseTooLongError
from poses.file_pose import FileBody, FilePose
from poses.headers import ReadLimits, read_header
from poses.reading import clear_not_finite, read_sizes, unpack_pose
from processes.compression import find_packing

# Four hours at 60 frames a second. Half a day of windows is a job for several files.
MAX_RECORDING_FRAMES = 864_000
_FLOAT_BYTES = 4


class Recording(Protocol):
    """A pose of any length, of which a part can be read."""

    header: PoseHeader
    frames: int
    fps: float

    def read(self, start: int, stop: int) -> Pose:
        """Read the frames from `start` up to, but without, `stop`."""
        ...


class HeldRecording:
    """A pose that is in memory already.

    Args:
        pose: with a NumPyPoseBody; it is not changed.
    """

    def __init__(self, pose: Pose) -> None:
        self._pose = pose
        self.header: PoseHeader = pose.header
        self.frames = len(pose.body.data)
        self.fps = float(pose.body.fps)

    def read(self, start: int, stop: int) -> Pose:
        """Return a view of the frames from `start` up to, but without, `stop`."""
        body = self._pose.body
        return Pose(self.header, NumPyPoseBody(body.fps, body.data[start:stop], body.confidence[start:stop]))


class RecordingFile:
    """A .pose file on the disk. It must be closed; a `with` block does that.

    A packed file cannot be read in parts. It is unpacked into memory, within the limit of bytes.

    Args:
        path: of the file.
        limits: sizes past which a packed file is refused; of others only header and frames are limited.
    Raises:
        PoseError: the file is no usable pose; see poses.reading.read.
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path, *, limits: ReadLimits | None = None) -> None:
        limits = limits or replace(ReadLimits(), max_frames=MAX_RECORDING_FRAMES)
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise PoseEmptyError("the file is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            data: bytes | mmap.mmap = self._map
            if find_packing(self._map[:16]) is not None:
                if len(self._map) > limits.max_bytes:
                    raise PoseTooLargeError(f"{len(self._map)} packed bytes; at most {limits.max_bytes} are unpacked")
                data = unpack_pose(self._map[:], limits=limits)
            self._data = data
            # Headers are far below this size, and every claim of theirs is compared with the bytes that are there.
            start = bytes(data[: limits.max_header_bytes])
            self.header, self._layout, offset = read_header(start, limits=limits)
            self.fps, self.frames, self._people, self._offset = read_sizes(
                data, offset, self._layout, version=round(self.header.version, 3)
            )
            if self.frames > limits.max_frames:
                raise PoseTooLongError(f"{self.frames} frames; at most {limits.max_frames} are read")
        except BaseException:
            self._map.close()
            raise

    def read(self, start: int, stop: int) -> FilePose:
        """Read the frames from `start` up to, but without, `stop`, checked as poses.reading.read does."""
        points, dims = self._layout.points, self._layout.dims
        values_per_frame = self._people * points * dims
        confidence_at = self._offset + self.frames * values_per_frame * _FLOAT_BYTES
        values = self._copy(self._offset, start, stop, values_per_frame).reshape(-1, self._people, points, dims)
        confidence = self._copy(confidence_at, start, stop, self._people * points).reshape(-1, self._people, points)
        # What was copied is not needed again; kept, the pages of an hour's file would count as 800 MB of this process.
        self._map.madvise(mmap.MADV_DONTNEED)
        not_finite = clear_not_finite(values, confidence)
        return FilePose(self.header, FileBody(self.fps, values, confidence), not_finite=not_finite)

    def _copy(self, offset: int, start: int, stop: int, per_frame: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        first, last = (offset + frame * per_frame * _FLOAT_BYTES for frame in (start, stop))
        # Slices of a memory map are copies: they stay valid when the file is closed.
        return np.frombuffer(self._data[first:last], "<f4").astype(np.float32)

    def close(self) -> None:
        """Close the file."""
        self._map.close()

    def __enter__(self) -> RecordingFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
