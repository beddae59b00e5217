"""A pipe that ends another thread's wait: ZeroMQ sockets belong to one thread, so the others ring."""

import os
from contextlib import suppress


class Wakeup:
    """Ring from any thread, once there is something to see; the owner polls `fd`, clears it, and then looks.

    In that order nothing is missed, though only the first of several rings costs a system call.
    """

    def __init__(self) -> None:
        self._rung = False
        self.fd, self._bell = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._bell, False)

    def ring(self) -> None:
        if self._rung:
            return
        self._rung = True
        # Full of rings already, or closed: either way nobody needs another.
        with suppress(OSError):
            os.write(self._bell, b".")

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self.fd, 65536)
        self._rung = False

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._bell)
