"""What runs beside the web workers: one engine a device, and the estimators; started, handed to workers, stopped.

A module and no part of gunicorn.conf.py, which a reload executes again: what runs must not be forgotten.
"""

import atexit
import logging
import os
import shutil
import signal
import tempfile

from app.counters import DIRECTORY, share_between_workers
from app.settings import PREFIX, ServiceSettings
from engine.settings import EngineSettings
from engine.supervisor import EngineSupervisor
from processes.supervisor import ProcessSupervisor
from processes.version import VERSION
from video.supervisor import EstimatorSupervisor

log = logging.getLogger(__name__)
# When they are told to stop, the web workers have ended, and with them everybody who waited for an answer. What they
# still need is time to put away what they hold. Together with a quick stop of the workers it is less than 10 s.
STOP_S = 4.0
_supervisors: list[ProcessSupervisor] = []
_failures: list[str] = []
# What workers find in their environment. Not in the master's: one that takes over from it starts its own.
_for_workers: dict[str, str] = {}


def start(settings: ServiceSettings, *, memory_dir: str | None = None) -> None:
    """Start what the settings do not name an address of, before any worker: four workers share one copy of each model.

    Args:
        memory_dir: where the workers' counters are kept; on a disk that is full, writing them would kill a worker.
    """
    log.info("starting", extra={"version": VERSION})
    # Also where the server ends before it served, as on a port that is taken.
    atexit.register(_stop_at_exit, os.getpid())
    _for_workers[DIRECTORY] = tempfile.mkdtemp(prefix=f"signclip-metrics-{os.getpid()}-", dir=memory_dir)
    if not settings.engine_address:
        addresses = [_start_engine(engine) for engine in settings.list_engines()]
        _for_workers[f"{PREFIX}ENGINE_ADDRESS"] = ",".join(addresses)
    if not settings.estimator_address:
        estimators = EstimatorSupervisor(settings.estimators, drain_s=STOP_S)
        _supervisors.append(estimators)
        estimators.start()
        _for_workers[f"{PREFIX}ESTIMATOR_ADDRESS"] = estimators.address


def _start_engine(settings: EngineSettings) -> str:
    name = f"engine{len(_supervisors)}"
    supervisor = EngineSupervisor(settings, name=name, drain_s=STOP_S, on_failure=_end_start)
    _supervisors.append(supervisor)
    supervisor.start()
    return supervisor.address


def hand_over(place: int) -> None:
    """Tell a worker that was just forked where everything is, and let it count under its place."""
    os.environ.update(_for_workers)
    share_between_workers(place)


def stop() -> None:
    """Stop engines and estimators, all at the same time. May be called twice."""
    for supervisor in _supervisors:
        supervisor.ask_to_stop()
    while _supervisors:
        _supervisors.pop().stop()
    if DIRECTORY in _for_workers:
        shutil.rmtree(_for_workers[DIRECTORY], ignore_errors=True)


def failure() -> str | None:
    """Why an engine cannot start, which ends the service; None: nothing keeps it from serving."""
    return f"The service cannot start: {_failures[0]}" if _failures else None


def _end_start(reason: str) -> None:
    _failures.append(reason)
    os.kill(os.getpid(), signal.SIGINT)


def _stop_at_exit(owner_pid: int) -> None:
    # Workers inherit this with the fork; what runs beside them is not theirs.
    if os.getpid() == owner_pid:
        stop()
