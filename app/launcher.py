"""Starts and stops what runs beside the web workers: one engine for each device, and the estimators of videos.

This is not a part of gunicorn.conf.py, because a reload executes that file again and would forget what runs.
"""

import atexit
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from app.access.counts import FILE_VARIABLE
from app.counters import DIRECTORY, share_between_workers
from app.settings import ServiceSettings
from app.variables import PREFIX
from engine.interface import Engine
from engine.settings import EngineSettings
from engine.supervisor import EngineSupervisor
from models.catalog import Catalog
from processes.heap import limit_arenas
from processes.private_folders import PrivateFolder
from processes.supervisor import ProcessSupervisor
from processes.version import VERSION
from video.supervisor import EstimatorSupervisor

log = logging.getLogger(__name__)
# Engines and estimators are stopped after the web workers, when no client waits for an answer any more. They need this
# time only to free what they hold. Together with a quick stop of the workers it is less than 10 s.
STOP_S = 4.0
# A converted model is ready within 3 s, on a busy machine within 20. An engine without its model's files is never
# ready, and clients are to learn why.
TAKE_OVER_S = 30.0
_LOOK_S = 0.05
_supervisors: list[ProcessSupervisor] = []
_failures: list[str] = []
# The image leaves rooms out of it.
_ROOT = Path(__file__).resolve().parent.parent
_demos: list[subprocess.Popen[bytes]] = []
_folders: list[PrivateFolder] = []
# What workers find in their environment. The master's environment stays as it is, because a master that takes over from
# it starts its own engines.
_for_workers: dict[str, str] = {}
# The models of this service, which workers inherit with their fork. A folder that breaks while the service runs must
# not keep a worker or an engine from starting again, and all of them must know the same models.
_catalogs: list[Catalog] = []


class Worker(Protocol):
    """What is used of gunicorn's worker."""

    alive: bool

    def notify(self) -> None:
        """Show the master that it lives."""
        ...


def start(settings: ServiceSettings, *, catalog: Catalog, memory_dir: str | None = None) -> None:
    """Start the engines and the estimators, unless the settings name the addresses of others.

    They are started before any worker, so that all workers share one copy of each model.

    Args:
        catalog: the models that this service knows until it ends.
        memory_dir: folder in memory for the workers' counters, because writing them to a full disk would kill a worker;
            None: the system's folder for temporary files.
    """
    log.info("starting", extra={"version": VERSION})
    for name, error in catalog.broken.items():
        log.error("a model's configuration is wrong, so it is left out", extra={"model": name, "error": str(error)})
    folder = settings.engine.weights_dir
    if not folder.is_dir():  # a mistyped name, or a disk that is not mounted
        log.warning("the folder of weights is not there: only the shipped model", extra={"weights_dir": str(folder)})
    _catalogs[:] = [catalog]
    # Also when the server ends before it has served, for example because its port is taken.
    atexit.register(_stop_at_exit, os.getpid())
    _for_workers[DIRECTORY] = str(_make_folder(f"metrics-{os.getpid()}-", parent=memory_dir))
    _for_workers[FILE_VARIABLE] = str(Path(_for_workers[DIRECTORY]) / "limits.sqlite")
    if not settings.engine_address:
        known = _make_folder() / "catalog.json"
        known.write_text(catalog.to_json(), encoding="utf-8")
        engines = [replace(engine, catalog_file=known) for engine in settings.list_engines()]
        addresses = [_start_engine(engine, standby=settings.engine_standby) for engine in engines]
        _for_workers[f"{PREFIX}ENGINE_ADDRESS"] = ",".join(addresses)
    if not settings.estimator_address:
        estimators = EstimatorSupervisor(settings.estimators, drain_s=STOP_S)
        _supervisors.append(estimators)
        estimators.start()
        _for_workers[f"{PREFIX}ESTIMATOR_ADDRESS"] = estimators.address


def start_demo(address: tuple[Any, ...] | str) -> None:
    """Start the process that stores the demonstration's clips as a client does, once the service is ready.

    Args:
        address: where the service listens, as socket.getsockname gives it: a host, a port and more, or the path of a
            Unix socket, which the demonstration's client does not call.
    """
    if isinstance(address, str):
        log.error("the demonstration is left out, because it needs a TCP port", extra={"address": address})
        return
    if not (_ROOT / "dictionary").is_dir():
        log.error(
            "the demonstration is left out, because this copy has no dictionary/, as the image; "
            "run `signclip dictionary demo --url URL` in a checkout, where URL is this service"
        )
        return
    host, port = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0]), address[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    command = [sys.executable, "-m", "dictionary", "demo", "--url", url]
    # A session of its own, because `stop` ends it, whatever ends this process.
    _demos.append(subprocess.Popen(command, cwd=_ROOT, start_new_session=True))


def _make_folder(name: str = "", *, parent: str | None = None) -> Path:
    _folders.append(PrivateFolder(name, parent=parent))
    return _folders[-1].path


def _start_engine(settings: EngineSettings, *, standby: bool) -> str:
    name = f"engine{len(_supervisors)}"
    supervisor = EngineSupervisor(settings, name=name, drain_s=STOP_S, on_failure=_end_start, standby=standby)
    _supervisors.append(supervisor)
    supervisor.start()
    return supervisor.address


def get_catalog() -> Catalog | None:
    """Return the models of the service whose master this process is or was forked from; None in other processes."""
    return _catalogs[0] if _catalogs else None


def configure_worker(place: int) -> None:
    """Give a worker that was just forked the addresses of engines and estimators, and the place of its counters."""
    limit_arenas()
    os.environ.update(_for_workers)
    share_between_workers(place)


def wait_for_engine(engine: Engine, worker: Worker) -> None:
    """Wait, TAKE_OVER_S at most, until an engine is ready, before a worker accepts clients that wait on its socket.

    Args:
        worker: shows gunicorn's master that it lives, and whether it is to stop.
    """
    give_up = time.monotonic() + TAKE_OVER_S
    while worker.alive and not engine.get_readiness().ready and time.monotonic() < give_up:
        worker.notify()
        time.sleep(_LOOK_S)


def stop() -> None:
    """Stop the engines and the estimators, all at the same time. May be called twice."""
    for supervisor in _supervisors:
        supervisor.ask_to_stop()
    for demo in _demos:
        demo.terminate()
    while _demos:
        _demos.pop().wait()
    while _supervisors:
        _supervisors.pop().stop()
    while _folders:
        _folders.pop().remove()


def note_exits() -> None:
    """Note how engines and estimators ended; gunicorn's master calls it before it collects its children."""
    for supervisor in _supervisors:
        supervisor.note_exit()


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
