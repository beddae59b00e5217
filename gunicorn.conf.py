"""How gunicorn serves the application; read by `gunicorn app:app` without being named."""

import os
import shutil
import sys
import tempfile
from dataclasses import replace

from app.counters import DIRECTORY, share_between_workers
from app.services import check_names, engine_settings, estimator_settings
from app.settings import SettingsError, load_settings
from engine.logs import logging_config
from engine.supervisor import EngineSupervisor, ProcessSupervisor
from estimators.supervisor import EstimatorSupervisor
from models.catalog import load_catalog
from models.errors import CatalogError

try:
    settings = load_settings()
    check_names(settings, load_catalog(weights=settings.weights_dir))
except (SettingsError, CatalogError) as error:
    sys.exit(str(error))

wsgi_app = "app:app"
bind = f"{settings.host}:{settings.port}"
worker_class = "gthread"
# One place more than requests are admitted would do; the rest answer refusals and health checks meanwhile.
threads = settings.max_requests + 16
worker_connections = threads + 1000
# The original service ran with -t 300.
timeout = 300
# Longer than a request may take, so that a stopping worker answers what it admitted.
graceful_timeout = int(max(settings.timeout_s, settings.video_timeout_s)) + 10
keepalive = 15
# Heartbeats through a file on a disk can stall a worker for seconds.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
# It would be one for all services of a user, in a home that the user of a container does not have.
control_socket_disable = True
# The application writes its own access log.
accesslog = None
logconfig_dict = {
    **logging_config(settings.log_level),
    "loggers": {"gunicorn.error": {"level": settings.log_level, "handlers": [], "propagate": True}},
}


supervisors: list[ProcessSupervisor] = []


def on_starting(server):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Start one engine a device and the estimators before any worker: four workers share one copy of each model."""
    os.environ[DIRECTORY] = tempfile.mkdtemp(prefix="signclip-metrics-")
    # The workers, forked from this process, find what is started here by these settings.
    if not settings.engine_address:
        os.environ["SIGNCLIP_ENGINE_ADDRESS"] = ",".join(map(start_engine, settings.device.split(",")))
    if not settings.estimator_address:
        estimators = EstimatorSupervisor(estimator_settings(settings), drain_s=graceful_timeout)
        supervisors.append(estimators)
        estimators.start()
        os.environ["SIGNCLIP_ESTIMATOR_ADDRESS"] = estimators.address


def start_engine(device):  # type: ignore[no-untyped-def]
    """Start the engine of a device; returns its address."""
    engine = replace(engine_settings(settings), device=device)
    supervisor = EngineSupervisor(engine, name=f"engine{len(supervisors)}", drain_s=graceful_timeout)
    supervisors.append(supervisor)
    supervisor.start()
    return supervisor.address


def pre_fork(server, worker):  # type: ignore[no-untyped-def]
    """Give a worker the lowest place that is free; its counters go on where those of the last one there ended."""
    taken = {other.place for other in server.WORKERS.values()}
    worker.place = next(place for place in range(len(taken) + 1) if place not in taken)


def post_fork(server, worker):  # type: ignore[no-untyped-def]  # noqa: ARG001
    share_between_workers(worker.place)


def on_exit(server):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Stop engines and estimators when the last worker has ended; they answer what they admitted."""
    shutil.rmtree(os.environ[DIRECTORY], ignore_errors=True)
    for supervisor in supervisors:
        supervisor.stop()


def post_worker_init(worker):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Reach for the engine after the fork: neither threads nor sockets survive one."""
    from app import app
    from app.services import EXTENSION

    app.extensions[EXTENSION].engine  # noqa: B018
    app.extensions[EXTENSION].prepare()


def worker_exit(server, worker):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Let go of the engine."""
    from app import app
    from app.services import EXTENSION

    app.extensions[EXTENSION].close()
