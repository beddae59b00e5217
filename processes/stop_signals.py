"""How the processes beside the web workers are stopped: by their supervisor, not by signals that every process gets.

systemd stops a service by sending TERM to each of its processes. The web workers then answer what they admitted. Until
they have done so, they need the engine and the video processes.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHIELDED_SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
# No tool sends this signal by itself. A process without a handler for it has admitted nothing yet, and ends at once.
STOP_SIGNAL = signal.SIGRTMIN
# A fork while another thread starts a process would inherit the pipe that tells that thread of the start, and keep the
# thread waiting for as long as the forked process lives.
_starting = threading.Lock()


@contextmanager
def shield() -> Iterator[None]:
    """Block the signals that stop a service in this thread, so that a process which it starts never sees them.

    A blocked signal stays blocked in a child process, in its children and over exec (signal(7)). This process loses no
    signal: another thread receives it in the meantime, or this thread receives it at the end of the block. One thread
    at a time starts a process.
    """
    with _starting:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SHIELDED_SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def call_at_stop(stop: Callable[[], None]) -> None:
    """Call `stop` at the supervisor's signal, and at INT and TERM, which only a process without supervisor receives."""
    for number in (STOP_SIGNAL, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())
