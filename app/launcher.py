"""Starts and stops what runs beside the web workers: one engine for each device, and the estimators of videos.

This is not a part of gunicorn.conf.py, because a reload executes that file again and would forget what runs.
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
# Engines and estimators are stopped after the web workers, when no client waits for an answer any more. They need this
# time only to free what they hold. Together with a quick stop of the workers it is less than 10 s.
STOP_S = 4.0
_supervisors: list[ProcessSupervisor] = []
_failures: list[str] = []
# What workers find in their environment. The master's environment stays as it is, because a master that takes over from
# it starts its own engines.
_for_workers: dict[str, str] = {}


def start(settings: ServiceSettings, *, memory_dir: str | None = None) -> None:
    """Start the engines and the estimators, unless the settings name the addresses of others.

    They are started before any worker, so that all workers share one copy of each model.

    Args:
        memory_dir: folder in memory for the workers' counters, because writing them to a full disk would kill a worker;
            None: the system's folder for temporary files.
    """
    log.info("starting", extra={"version": VERSION})
    # Also when the server ends before it has served, for example because its port is taken.
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


def configure_worker(place: int) -> None:
    """Give a worker that was just forked the addresses of engines and estimators, and the place of its counters."""
    os.environ.update(_for_workers)
    share_between_workers(place)


def stop() -> None:
    """Stop the engines and the estimators, all at the same time. May be called twice."""
    for supervisor in _supervisors:
        supervisor.ask_to_stop()
    while _supervisors:
        _supervisors.pop().stop()
    if DIRECTORY in _for_workers:
        shutil.rmtree(_for_workers[DIRECTORY], ignore_errors=True)


def get_failure() -> str | None:
    """Return why an engine cannot start, which ends the service; None when nothing is wrong."""
    return f"The service cannot start: {_failures[0]}" if _failures else None


def _end_start(reason: str) -> None:
    _failures.append(reason)
    os.kill(os.getpid(), signal.SIGINT)


def _stop_at_exit(owner_pid: int) -> None:
    # Workers inherit this handler with the fork, but must not stop what runs beside them.
    if os.getpid() == owner_pid:
        stop()
