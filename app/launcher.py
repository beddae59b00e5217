"""What runs beside the web workers: one engine a device, and the estimators; started, handed to workers, stopped.

A module and no part of gunicorn.conf.py, which a reload executes again: what runs must not be forgotten.
"""

import atexit
import logging
import os
import shutil
import tempfile
from dataclasses import replace

from app.counters import DIRECTORY, share_between_workers
from app.services import engine_settings, estimator_settings
from app.settings import PREFIX, Settings
from engine.supervisor import EngineSupervisor
from processes.supervisor import ProcessSupervisor
from processes.version import VERSION
from video.supervisor import EstimatorSupervisor

log = logging.getLogger(__name__)
_supervisors: list[ProcessSupervisor] = []
# What workers find in their environment. Not in the master's: one that takes over from it starts its own.
_for_workers: dict[str, str] = {}


def start(settings: Settings, *, drain_s: float, memory_dir: str | None = None) -> None:
    """Start what the settings do not name an address of, before any worker: four workers share one copy of each model.

    Args:
        drain_s: how long each may take to answer what it admitted, once told to stop.
        memory_dir: where the workers' counters are kept; on a disk that is full, writing them would kill a worker.
    """
    log.info("starting", extra={"version": VERSION})
    # Also where the server ends before it served, as on a port that is taken.
    atexit.register(_stop_at_exit, os.getpid())
    _for_workers[DIRECTORY] = tempfile.mkdtemp(prefix=f"signclip-metrics-{os.getpid()}-", dir=memory_dir)
    if not settings.engine_address:
        addresses = [_start_engine(settings, device, drain_s=drain_s) for device in settings.device.split(",")]
        _for_workers[f"{PREFIX}ENGINE_ADDRESS"] = ",".join(addresses)
    if not settings.estimator_address:
        estimators = EstimatorSupervisor(estimator_settings(settings), drain_s=drain_s)
        _supervisors.append(estimators)
        estimators.start()
        _for_workers[f"{PREFIX}ESTIMATOR_ADDRESS"] = estimators.address


def _start_engine(settings: Settings, device: str, *, drain_s: float) -> str:
    engine = replace(engine_settings(settings), device=device)
    supervisor = EngineSupervisor(engine, name=f"engine{len(_supervisors)}", drain_s=drain_s)
    _supervisors.append(supervisor)
    supervisor.start()
    return supervisor.address


def hand_over(place: int) -> None:
    """Tell a worker that was just forked where everything is, and let it count under its place."""
    os.environ.update(_for_workers)
    share_between_workers(place)


def stop() -> None:
    """Stop engines and estimators; they answer what they admitted. May be called twice."""
    while _supervisors:
        _supervisors.pop().stop()
    if DIRECTORY in _for_workers:
        shutil.rmtree(_for_workers[DIRECTORY], ignore_errors=True)


def _stop_at_exit(owner_pid: int) -> None:
    # Workers inherit this with the fork; what runs beside them is not theirs.
    if os.getpid() == owner_pid:
        stop()
