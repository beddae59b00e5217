"""How gunicorn serves the application; read by `gunicorn app:app` without being named."""

import gc
import os
import resource
import sys

from gunicorn.glogging import Logger

from app import launcher
from app.access.keyring import KeysError
from app.access.keys import make_keyring
from app.listening import ListeningError, check_addresses
from app.master import Master
from app.services import check_names
from app.settings import load_settings
from models.catalog import load_catalog
from models.errors import CatalogError
from processes.logs import build_logging_config
from processes.settings import SettingsError

try:
    settings = load_settings()
    # A reload reads this file again, but the models stay those of the start.
    catalog = launcher.get_catalog() or load_catalog(weights=settings.engine.weights_dir)
    check_names(settings, catalog)
    make_keyring(settings)
except (SettingsError, CatalogError, KeysError) as error:
    sys.exit(str(error))

# A worker cuts the texts of a request into word pieces in one thread, because requests and workers beside it have work
# for every core. The tokenizer's own choice, a thread for each core, takes half as much processor time again at 16.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
wsgi_app = "app:app"
# Clients already connect to a socket that systemd, or the master of an upgrade, holds open: they wait there while this
# service starts. A reload reads this file again, when gunicorn has removed these variables.
takes_over = not {"LISTEN_FDS", "GUNICORN_PID"}.isdisjoint(os.environ)
# An IPv6 address is told apart from its port by brackets.
host = f"[{settings.host}]" if ":" in settings.host and "[" not in settings.host else settings.host
bind: str | list[str] = f"{host}:{settings.port}"
if settings.metrics_address is not None:
    bind = [bind, settings.metrics_address]
worker_class = "app.worker.Worker"
# One place more than requests are admitted would do; the rest answer refusals and health checks meanwhile.
threads = settings.max_requests + 16
# Each connection is an open file, and a worker that may open no more ends. The usual limit is 1024, which more may be
# asked for; sockets, pipes and libraries take the rest.
_, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
open_files = 65536 if most_files == resource.RLIM_INFINITY else min(most_files, 65536)
resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, most_files))
worker_connections = max(threads + 1, min(threads + 1000, open_files - 256))
# A worker whose loop says nothing for so long was stopped, or hangs. A request may take longer: threads handle those.
timeout = 60
# Longer than a request may take, so that a stopping worker answers what it admitted.
graceful_timeout = int(max(settings.timeout_s, settings.video_timeout_s)) + 10
keepalive = 15
# The kernel's way to send a file waits for a client that reads nothing without a limit (app/sending.py).
sendfile = False
# Heartbeats through a file on a disk can stall a worker for seconds.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
# It would be one for all services of a user, in a home that the user of a container does not have.
control_socket_disable = True
# No client, and no proxy on this machine, says where the application stands or which path was meant.
forwarder_headers = ""
# The application itself believes the proxies that SIGNCLIP_TRUSTED_PROXIES names (app/access/proxies.py).
forwarded_allow_ips = ""
# The application writes its own access log.
accesslog = None


class QuietLogger(Logger):  # type: ignore[misc]
    """Gunicorn's logger without access lines, which a logconfig_dict makes it gather for each request to no end."""

    access_log_enabled = False


logger_class = QuietLogger
logconfig_dict = {
    **build_logging_config(settings.log_level),
    # For debugging, gunicorn would log the path of each request, in which a user may have written anything.
    "loggers": {
        "gunicorn.error": {
            "level": "INFO" if settings.log_level == "DEBUG" else settings.log_level,
            "handlers": [],
            "propagate": True,
        }
    },
}


def on_starting(server):  # type: ignore[no-untyped-def]
    """Start engines and estimators; workers, forked from this process later, are told where they are."""
    if server.cfg.preload_app:
        sys.exit("--preload is not taken: workers must be forked before the application reaches for its engine")
    if not takes_over:
        try:
            check_addresses(server.cfg.address)
        except ListeningError as error:
            sys.exit(f"The service cannot start: {error}")
    Master.take_over(server)
    launcher.start(settings, catalog=catalog, memory_dir=worker_tmp_dir)


def when_ready(server):  # type: ignore[no-untyped-def]
    """Start the demonstration's client at the address where gunicorn listens: -b may name another than the settings."""
    if settings.demo:
        launcher.start_demo(server.LISTENERS[0].getsockname())


def pre_fork(server, worker):  # type: ignore[no-untyped-def]
    """Give a worker the lowest place that is free; its counters go on where those of the last one there ended."""
    taken = {other.place for other in server.WORKERS.values()}
    worker.place = next(place for place in range(len(taken) + 1) if place not in taken)


def post_fork(server, worker):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Tell the new worker where the engine and the estimators are."""
    launcher.configure_worker(worker.place)


def on_exit(server):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Stop engines and estimators when the last worker has ended; say why, if they could not start."""
    launcher.stop()
    failure = launcher.get_failure()
    if failure is not None:
        sys.exit(failure)


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """Reach for the engine after the fork: neither threads nor sockets survive one."""
    from app import app
    from app.services import EXTENSION

    app.extensions[EXTENSION].engine  # noqa: B018
    app.extensions[EXTENSION].metrics.begin()
    app.extensions[EXTENSION].prepare()
    # What lives as long as the worker need not be searched for garbage again and again.
    gc.collect()
    gc.freeze()
    if takes_over:
        launcher.wait_for_engine(app.extensions[EXTENSION].engine, worker)
