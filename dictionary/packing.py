"""A pose as the bytes that are sent and kept: a .pose file, packed with zstd."""

import io

import zstandard
from pose_format import Pose


def pack_pose(pose: Pose) -> bytes:
    """Write a pose as a packed .pose file."""
    file = io.BytesIO()
    pose.write(file)
    return zstandard.compress(file.getvalue())
