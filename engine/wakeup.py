"""A pipe that ends the wait of the thread that polls a socket, when another thread has something for it to do."""

import os
from contextlib import suppress


class Wakeup:
    """Any thread rings once there is something to do; the owner polls `fd`, clears it, and then looks what there is.

    In that order the owner misses nothing, although only the first of several rings costs a system call.

    Attributes:
        fd: file descriptor that becomes readable when a thread rings.
    """

    def __init__(self) -> None:
        self._rung = False
        self.fd, self._bell = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._bell, False)

    def ring(self) -> None:
        """Wake the owner. May be called from any thread, and after `close`."""
        if self._rung:
            return
        self._rung = True
        # If the pipe is full, the owner will wake up anyway; if it is closed, there is no owner any more.
        with suppress(OSError):
            os.write(self._bell, b".")

    def clear(self) -> None:
        """Forget the rings so far. The owner calls this before it looks what there is to do."""
        with suppress(BlockingIOError):
            os.read(self.fd, 65536)
        self._rung = False

    def close(self) -> None:
        """Close both ends of the pipe."""
        os.close(self.fd)
        os.close(self._bell)
