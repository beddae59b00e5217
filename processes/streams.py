"""Messages over a Unix socket: each is a few frames of bytes. Any thread may send, and no send waits."""

import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from processes.errors import MessageError

Buffer = bytes | bytearray | memoryview
# A received message: its frames, writable and 8-byte aligned, which share memory of their own.
Frames = list[memoryview]
# A message begins with its size in bytes and the number of its frames; then come the frames' lengths, then the frames.
_HEAD = struct.Struct("<QQ")
_LENGTH_BYTES = 8
# Frames begin at multiples of this, so that NumPy reads arrays in place.
_ALIGNMENT = 8
_PADDING = tuple(bytes(count) for count in range(_ALIGNMENT))
# Far more than any request or answer has (engine.settings: a queue holds 262,144 positions of 609 features).
LARGEST_MESSAGE_BYTES = 2**32
_MOST_FRAMES = 2**20
# What one read takes at most. Larger messages are read into memory of their own.
_READ_BYTES = 32 * 1024
# Buffers in one system call; Linux takes 1024 (IOV_MAX).
_MOST_BUFFERS = 1000
# Joining so little costs less than more buffers in a system call do.
_SMALL_BYTES = 16 * 1024
# What a socket holds before its receiver reads: some clips of 178 kB. Linux cuts it to net.core.wmem_max.
_SOCKET_BYTES = 4 * 1024 * 1024


class MessageStream:
    """One end of a connection that carries messages.

    What the socket does not take at once is kept, and `flush` sends it later. One thread receives.

    Args:
        connection: a connected stream socket, which this object closes.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        self._socket = connection
        self._fd = connection.fileno()
        self._lock = threading.Lock()
        self._unsent: deque[memoryview] = deque()
        self._read = memoryview(bytearray(_READ_BYTES))
        self._filled = 0
        # A message that is larger than one read, and how much of it has come.
        self._large: memoryview | None = None
        self._large_filled = 0
        self._large_frames = 0

    def fileno(self) -> int:
        """Return the socket's file descriptor, for polling."""
        return self._fd

    @property
    def has_unsent(self) -> bool:
        """Whether something waits until the socket is writable."""
        return bool(self._unsent)

    def send(self, frames: Sequence[Buffer]) -> bool:
        """Send a message. May be called from any thread.

        Args:
            frames: must not change until the message has left.
        Returns:
            Whether all has left; False: `flush` is to be called when the socket is writable.
        Raises:
            OSError: the other end is closed.
        """
        buffers = _frame(frames)
        with self._lock:
            if not self._unsent:
                self._unsent.extend(buffers)
                return self._send()
            self._unsent.extend(buffers)
            return False

    def flush(self) -> bool:
        """Send more of what is kept; returns whether all has left.

        Raises:
            OSError: the other end is closed.
        """
        with self._lock:
            return self._send()

    def receive(self) -> tuple[list[Frames], bool]:
        """Receive every message that has come.

        Returns:
            The messages, and whether the other end is still there.
        Raises:
            MessageError: the bytes are no messages; the connection is of no more use.
        """
        messages: list[Frames] = []
        while True:
            target = self._read[self._filled :] if self._large is None else self._large[self._large_filled :]
            try:
                count = self._socket.recv_into(target)
            except BlockingIOError:
                return messages, True
            except OSError:
                return messages, False
            if not count:
                return messages, False
            is_drained = count < len(target)
            if self._large is None:
                self._filled += count
                self._cut_messages(messages)
            else:
                self._large_filled += count
                if self._large_filled == len(self._large):
                    messages.append(_cut_frames(self._large, self._large_frames))
                    self._large = None
                    is_drained = False
            if is_drained:
                return messages, True

    def close(self) -> None:
        """Close the socket. A thread that sends at the same time gets an OSError."""
        with self._lock:
            self._unsent.clear()
            self._socket.close()

    def _send(self) -> bool:
        unsent = self._unsent
        while unsent:
            batch = list(unsent)[:_MOST_BUFFERS] if len(unsent) > _MOST_BUFFERS else unsent
            try:
                sent = self._socket.sendmsg(batch, (), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return False
            while unsent and sent >= len(unsent[0]):
                sent -= len(unsent.popleft())
            if sent:
                unsent[0] = unsent[0][sent:]
        return True

    def _cut_messages(self, messages: list[Frames]) -> None:
        """Cut what was read into messages; keep the beginning of the next one."""
        start, end = 0, self._filled
        while end - start >= _HEAD.size:
            size, frames = _HEAD.unpack_from(self._read, start)
            if not (frames * _LENGTH_BYTES <= size <= LARGEST_MESSAGE_BYTES and frames <= _MOST_FRAMES):
                raise MessageError(f"a message of {size} bytes in {frames} frames")
            begin = start + _HEAD.size
            if begin + size > end:
                if _HEAD.size + size > _READ_BYTES:
                    self._begin_large(size, frames, self._read[begin:end])
                    start = end
                break
            messages.append(_cut_frames(memoryview(bytearray(self._read[begin : begin + size])), frames))
            start = begin + size
        if start and start < end:
            self._read[: end - start] = bytes(self._read[start:end])
        self._filled = end - start

    def _begin_large(self, size: int, frames: int, begun: memoryview) -> None:
        self._large = np.empty(size, dtype=np.uint8).data  # a bytearray would be filled with zeros first
        self._large[: len(begun)] = begun
        self._large_filled, self._large_frames = len(begun), frames


def _frame(frames: Sequence[Buffer]) -> list[memoryview]:
    """Write a message's head before its frames, and padding behind each."""
    views = [memoryview(frame) for frame in frames]
    views = [view.cast("B") if view.nbytes else memoryview(b"") for view in views]
    lengths = [len(view) for view in views]
    size = _LENGTH_BYTES * len(lengths) + sum(length + -length % _ALIGNMENT for length in lengths)
    parts: list[Buffer] = [struct.pack(f"<QQ{len(lengths)}Q", size, len(lengths), *lengths)]
    for view in views:
        parts.append(view)
        if -len(view) % _ALIGNMENT:
            parts.append(_PADDING[-len(view) % _ALIGNMENT])
    if size < _SMALL_BYTES:
        return [memoryview(b"".join(parts))]
    return [memoryview(part) for part in parts if len(part)]


def _cut_frames(message: memoryview, count: int) -> Frames:
    lengths = message[: count * _LENGTH_BYTES].cast("Q").tolist()
    start = count * _LENGTH_BYTES
    frames: Frames = []
    for length in lengths:
        if start + length > len(message):
            raise MessageError(f"frames of {lengths[:8]} bytes in a message of {len(message)}")
        frames.append(message[start : start + length])
        start += length + -length % _ALIGNMENT
    return frames
