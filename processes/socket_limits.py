"""Limits of how long a blocking socket waits, kept by the kernel, for readers and writers that take no time-out."""

import socket
import struct


def limit_silence(end: socket.socket, seconds: float) -> None:
    """Let a read or a write on a socket fail as BlockingIOError when nothing moves for so long."""
    whole = int(seconds)
    # A zero would mean no limit.
    limit = struct.pack("ll", whole, max(1, int(1e6 * (seconds - whole))))
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
