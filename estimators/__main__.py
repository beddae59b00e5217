"""`python -m estimators`: the queue of videos behind a socket. gunicorn.conf.py starts it; it also runs alone."""

import argparse
import os
import signal
import sys

from engine.logs import configure_logging
from estimators.local import LocalEstimators
from estimators.server import EstimatorServer
from estimators.settings import EstimatorSettings


def main(arguments: list[str] | None = None) -> int:
    defaults = EstimatorSettings()
    parser = argparse.ArgumentParser(prog="python -m estimators", description=__doc__)
    parser.add_argument("--address", required=True, help="path of the Unix socket to listen on")
    parser.add_argument("--parent", type=int, help="process id whose end ends this one")
    parser.add_argument("--workers", type=int, help="processes with one tracker each (default: one a core)")
    parser.add_argument("--max-waiting", type=int, default=defaults.max_waiting, help="videos that may wait")
    parser.add_argument("--log-level", default=os.environ.get("SIGNCLIP_LOG_LEVEL", "INFO"))
    options = parser.parse_args(arguments)
    configure_logging(options.log_level.upper())
    estimators = LocalEstimators(EstimatorSettings(workers=options.workers, max_waiting=options.max_waiting))
    server = EstimatorServer(estimators, options.address, parent=options.parent)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
