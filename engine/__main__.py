"""`python -m engine`: one engine process behind a socket. gunicorn.conf.py starts it; it also runs alone."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from engine.settings import EngineSettings
from models.errors import ModelsError
from processes.logs import configure_logging
from processes.stop_signals import call_at_stop
from processes.version import PRODUCT

_READERS: dict[str, Callable[[str], Any]] = {
    "weights_dir": Path,
    "configs_dir": Path,
    "preload": lambda text: tuple(filter(None, text.split(","))),
}


def parse(arguments: list[str] | None = None) -> tuple[EngineSettings, argparse.Namespace]:
    """Read the command line: one option for each field of EngineSettings, and where to listen.

    What is not given there is taken from the service's setting of that name, SIGNCLIP_DTYPE for --dtype.
    """
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("--address", required=True, help="ipc://PATH to listen on")
    parser.add_argument("--parent", type=int, help="process id whose end ends the engine")
    parser.add_argument("--record", type=Path, help="file to keep the names of the loaded models in")
    parser.add_argument(
        "--failure", type=Path, help="file to write why the engine cannot serve; it then ends, and waits for no files"
    )
    parser.add_argument("--log-level", default=os.environ.get("SIGNCLIP_LOG_LEVEL", "INFO"))
    defaults = EngineSettings()
    for field in fields(EngineSettings):
        default: Any = os.environ.get(f"SIGNCLIP_{field.name.upper()}") or getattr(defaults, field.name)
        reader = _READERS.get(field.name) or _plain(field.type)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=reader, default=default)
    options = parser.parse_args(arguments)
    return EngineSettings(**{field.name: getattr(options, field.name) for field in fields(EngineSettings)}), options


def _plain(kind: Any) -> Callable[[str], Any]:
    return str if "str" in str(kind) else float if "float" in str(kind) else int


def main(arguments: list[str] | None = None) -> int:
    settings, options = parse(arguments)
    configure_logging(options.log_level.upper())
    from engine.local import LocalEngine
    from engine.server import EngineServer

    try:
        engine = LocalEngine(settings)
    except ModelsError as error:
        return _report(str(error), options.failure)
    try:
        # Whoever can reach the socket can ask for vectors.
        Path(options.address.removeprefix("ipc://")).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = EngineServer(
            engine,
            options.address,
            parent=options.parent,
            record=options.record,
            ends_on_failure=options.failure is not None,
        )
    except OSError as error:  # ZeroMQ's are such, too
        print(f"the engine cannot listen on {options.address}: {error}", file=sys.stderr)
        engine.close()
        return 1
    call_at_stop(server.stop)
    failure = server.serve()
    return 0 if failure is None else _report(failure, options.failure)


def _report(failure: str, file: Path | None) -> int:
    """Report why the engine cannot start, to its supervisor or to the person who started it."""
    if file is None:
        print(f"the engine cannot start: {failure}", file=sys.stderr)
    else:
        file.write_text(failure, encoding="utf-8")
    return 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # An orderly exit takes a second of a core, to take torch apart, and has nothing to put away.
    os._exit(status)
