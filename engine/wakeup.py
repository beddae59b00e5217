"""A pipe that ends another thread's wait: ZeroMQ sockets belong to one thread, so the others ring."""

import os
from contextlib import suppress


class Wakeup:
    """Ring from any thread; the owner polls `fd` and clears it."""

    def __init__(self) -> None:
        self.fd, self._bell = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._bell, False)

    def ring(self) -> None:
        # Full of rings already, or closed: either way nobody needs another.
        with suppress(OSError):
            os.write(self._bell, b".")

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self.fd, 65536)

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._bell)
