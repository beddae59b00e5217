"""Limits of how long a blocking socket waits, kept by the kernel, for readers and writers that take no time-out."""

import socket
import struct


def limit_silence(end: socket.socket, seconds: float) -> None:
    """Let a read or a write on a socket fail as BlockingIOError when nothing moves for so long."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _pack(seconds))
    limit_sending(end, seconds)


def limit_sending(end: socket.socket, seconds: float) -> None:
    """Let a write on a socket fail as BlockingIOError when the other end takes nothing for so long."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _pack(seconds))


def _pack(seconds: float) -> bytes:
    whole = int(seconds)
    # A zero would mean no limit.
    return struct.pack("ll", whole, max(1, int(1e6 * (seconds - whole))))
