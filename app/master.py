"""Gunicorn's master, with a stop that no signal is lost to and no worker can hold up."""

import signal
from types import FrameType

from gunicorn.arbiter import Arbiter

from processes.stop_signals import SHIELDED_SIGNALS, shielded

# How long workers may take to end after INT or QUIT. They end at once, unless a library keeps Python's lock.
QUICK_STOP_S = 4
_QUICK, _GRACEFUL = {signal.SIGINT, signal.SIGQUIT}, {signal.SIGTERM}


class Master(Arbiter):  # type: ignore[misc]
    """Gunicorn's Arbiter, which has no setting for its class; `take_over` makes one of it."""

    stops_asked: frozenset[int] = frozenset()
    is_reloading = False

    @classmethod
    def take_over(cls, arbiter: Arbiter) -> None:
        """Turn a starting arbiter into this class and queue signals from now on: what starts next must be stopped."""
        arbiter.__class__ = cls
        arbiter.init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SHIELDED_SIGNALS)

    def signal(self, sig: int, frame: FrameType | None) -> None:
        """Queue a signal, and remember those that stop the service."""
        self.stops_asked |= {sig} & (_QUICK | _GRACEFUL)
        super().signal(sig, frame)

    def spawn_worker(self) -> int:
        """Fork with stop signals blocked: without handlers of its own, a worker would put them into a dead queue."""
        with shielded():
            pid: int = super().spawn_worker()
        return pid

    def handle_term(self) -> None:
        """Stop, at once if INT or QUIT came together with TERM."""
        if self.stops_asked & _QUICK:
            self.stop(graceful=False)
        super().handle_term()

    def stop(self, graceful: bool = True) -> None:
        """Gunicorn waits as long for workers that are to end at once as for those that answer what they admitted."""
        if not graceful:
            self.cfg.set("graceful_timeout", QUICK_STOP_S)
        super().stop(graceful)

    def reload(self) -> None:
        """Start workers with the settings as they are now, and end the old ones when they have answered."""
        self.is_reloading = True
        super().reload()
        self.is_reloading = False

    def reap_workers(self) -> None:
        """Also leave a reload when a stop is asked for: it waits for the old workers without a look at the signals."""
        super().reap_workers()
        if self.is_reloading and self.stops_asked:
            self.is_reloading = False
            self.handle_term()
