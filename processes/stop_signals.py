"""How the processes beside the web workers are told to stop: by their supervisor, not by signals sent to everybody.

systemd stops a service by sending TERM to every process of it. The web workers then answer what they admitted. Until
they have, they need the engine and the video processes.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHIELDED_SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
# No tool sends it by itself. It ends a process that has no handler yet, and has therefore admitted nothing, at once.
STOP_SIGNAL = signal.SIGRTMIN


@contextmanager
def shielded() -> Iterator[None]:
    """Block the signals that stop a service in this thread, so that a process which it starts never sees them.

    A blocked signal stays blocked in a child process, in its children and over exec (signal(7)). This process loses
    none: another thread takes a signal that arrives meanwhile, or this one at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SHIELDED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def call_at_stop(stop: Callable[[], None]) -> None:
    """Call `stop` at the supervisor's signal; and at INT and TERM, which only a process without supervisor receives."""
    for number in (STOP_SIGNAL, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())
