"""Gunicorn's master, with a stop that loses no signal and that no worker can delay."""

import signal
from types import FrameType

from gunicorn.arbiter import Arbiter

from app import launcher
from processes.stop_signals import SHIELDED_SIGNALS, shield
from processes.stopped import StoppedWatch

# How long workers may take to end after INT or QUIT. They end at once, unless a library holds Python's lock.
# Being killed costs them nothing that their own end would not; gunicorn takes the same time for INT after TERM.
QUICK_STOP_S = 2
_QUICK, _GRACEFUL = {signal.SIGINT, signal.SIGQUIT}, {signal.SIGTERM}


class Master(Arbiter):  # type: ignore[misc]
    """Gunicorn's Arbiter with another way to stop.

    Gunicorn has no setting for the class of its master, so `take_over` changes the class of the one that runs.
    """

    stops_asked: frozenset[int] = frozenset()
    stopped_workers = StoppedWatch()
    is_reloading = False
    # The youngest worker that a reload replaces, as gunicorn counts them.
    replaced_age = 0

    @classmethod
    def take_over(cls, arbiter: Arbiter) -> None:
        """Turn a starting arbiter into this class, and queue signals from now on: they must stop what starts next."""
        arbiter.__class__ = cls
        arbiter.init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SHIELDED_SIGNALS)

    def signal(self, sig: int, frame: FrameType | None) -> None:
        """Queue a signal, and remember those that stop the service."""
        self.stops_asked |= {sig} & (_QUICK | _GRACEFUL)
        super().signal(sig, frame)

    def spawn_worker(self) -> int:
        """Fork with stop signals blocked. A worker without its own handlers would put them where nothing reads them."""
        with shield():
            pid: int = super().spawn_worker()
        return pid

    def murder_workers(self) -> None:
        """Also kill workers that a signal has stopped: their clients would wait until gunicorn's time-out."""
        for pid in self.stopped_workers.find(list(self.WORKERS)):
            self.log.critical("Worker (pid:%s) was stopped by a signal and is killed", pid)
            self.kill_worker(pid, signal.SIGKILL)
        super().murder_workers()

    def handle_term(self) -> None:
        """Stop; at once when INT or QUIT came together with TERM."""
        if self.stops_asked & _QUICK:
            self.stop(graceful=False)
        super().handle_term()

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers. Gunicorn itself would wait as long for a quick stop as for a graceful one."""
        if not graceful:
            self.cfg.set("graceful_timeout", QUICK_STOP_S)
        super().stop(graceful)

    def reload(self) -> None:
        """Start workers with the settings as they are now, and end the old ones when they have answered."""
        self.is_reloading, self.replaced_age = True, self.worker_age
        super().reload()
        self.is_reloading = False

    def reap_workers(self) -> None:
        """Also do what there is to do during a reload, which waits for the old workers as long as a request may take.

        Gunicorn's reload reads no signals meanwhile, kills no worker that hangs and replaces none that is lost.
        """
        launcher.note_exits()
        super().reap_workers()
        if not self.is_reloading:
            return
        if self.stops_asked:
            self.is_reloading = False
            self.handle_term()
        self.murder_workers()
        young = sum(worker.age > self.replaced_age for worker in self.WORKERS.values())
        for _ in range(self.num_workers - young):
            self.spawn_worker()
